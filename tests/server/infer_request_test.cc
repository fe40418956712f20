#include "server/services/infer_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/request_samples.h"

namespace bitstage::server {
namespace {

using inference::ModelInferRequest;
using ::testing::HasSubstr;

absl::StatusOr<InferenceRequest> Parse(const ModelInferRequest& request, const ModelInterface& model = SampleModel()) {
  return ParseInferRequest(request, model);
}

void ExpectRefused(const ModelInferRequest& request, const std::string& text,
                   const ModelInterface& model = SampleModel()) {
  const absl::Status status = Parse(request, model).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(text));
}

// --- what is taken

TEST(InferRequest, TakesARawFloatTensorInPlace) {
  const ModelInferRequest message = FloatRequest();
  const auto request = Parse(message);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->batch, 2);
  const TensorView& view = std::get<TensorView>(request->inputs[0]);
  EXPECT_EQ(view.shape, (Shape{2, 3, 2, 4}));
  EXPECT_EQ(view.data, message.raw_input_contents(0).data()) << "not copied";
  EXPECT_EQ(request->outputs.size(), 3u) << "no outputs requested: all";
}

TEST(InferRequest, TakesTypedFloats) {
  ModelInferRequest message = RequestOf("FP32", {1, 3, 2, 4});
  for (int i = 0; i < 24; ++i) message.mutable_inputs(0)->mutable_contents()->add_fp32_contents(static_cast<float>(i));
  const auto request = Parse(message);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(std::get<TensorView>(request->inputs[0]).Span<float>()[23], 23.0f);
}

TEST(InferRequest, TakesPixelsWithTheChannelsFirstOrLast) {
  const auto first = Parse(RawRequest("UINT8", {1, 3, 2, 4}, std::string(24, 'p')));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(std::get<PixelImages>(first->inputs[0]).channels_first);
  const ModelInferRequest any_size = RawRequest("UINT8", {2, 5, 7, 3}, std::string(210, 'p'));
  const auto last = Parse(any_size);
  ASSERT_TRUE(last.ok()) << last.status();
  const PixelImages& images = std::get<PixelImages>(last->inputs[0]);
  EXPECT_FALSE(images.channels_first);
  EXPECT_EQ(images.height, 5);
  EXPECT_EQ(images.width, 7);
  EXPECT_EQ(images.pixels.size(), 210u);
}

TEST(InferRequest, TakesTypedPixels) {
  ModelInferRequest message = RequestOf("UINT8", {1, 1, 1, 3});
  for (const uint32_t value : {0u, 128u, 255u}) message.mutable_inputs(0)->mutable_contents()->add_uint_contents(value);
  const auto request = Parse(message);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_THAT(std::get<PixelImages>(request->inputs[0]).pixels, testing::ElementsAre(0, 128, 255));
}

TEST(InferRequest, TakesEncodedImagesRawAndTyped) {
  const ModelInferRequest raw = RawRequest("BYTES", {2, 1}, BytesElement("one") + BytesElement(""));
  const auto from_raw = Parse(raw);
  ASSERT_TRUE(from_raw.ok()) << from_raw.status();
  EXPECT_EQ(std::get<EncodedImages>(from_raw->inputs[0]).images[0].size(), 3u);
  ModelInferRequest typed = RequestOf("BYTES", {1});
  typed.mutable_inputs(0)->mutable_contents()->add_bytes_contents("one");
  const auto from_typed = Parse(typed);
  ASSERT_TRUE(from_typed.ok()) << from_typed.status();
  EXPECT_EQ(std::get<EncodedImages>(from_typed->inputs[0]).images.size(), 1u);
}

TEST(InferRequest, TakesAClassificationAndClipsItToTheClasses) {
  ModelInferRequest message = FloatRequest();
  auto& output = *message.add_outputs();
  output.set_name("scores");
  (*output.mutable_parameters())["classification"].set_int64_param(1000);
  const auto request = Parse(message);
  ASSERT_TRUE(request.ok()) << request.status();
  ASSERT_EQ(request->outputs.size(), 1u);
  EXPECT_EQ(request->outputs[0].classes, 5);
}

// --- versions

TEST(InferRequest, VersionsAreReadStrictly) {
  EXPECT_EQ(*RequestedVersion(""), std::nullopt);
  EXPECT_EQ(*RequestedVersion("12"), 12);
  for (const char* text : {"1x", " 1", "1.0", "-1", "+1", "01", "0", "latest", "99999999999999999999"}) {
    const absl::Status status = RequestedVersion(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("failed to get model version from specified version string"));
  }
}

// --- names

TEST(InferRequest, RefusesAnUnknownInput) {
  ModelInferRequest message = FloatRequest();
  message.mutable_inputs(0)->set_name("picture");
  ExpectRefused(message, "unexpected inference input 'picture' for model 'net'");
}

TEST(InferRequest, ComparesNamesWholeAsBytes) {
  ModelInferRequest message = FloatRequest();
  message.mutable_inputs(0)->set_name(std::string("image\0", 6));
  ExpectRefused(message, "unexpected inference input 'image\\x00'");
  message = FloatRequest();
  message.mutable_inputs(0)->set_datatype(std::string("FP32\0", 5));
  ExpectRefused(message, "is 'FP32\\x00', expected FP32, UINT8 or BYTES");
}

TEST(InferRequest, RefusesADuplicateInput) {
  ModelInferRequest message = FloatRequest();
  *message.add_inputs() = message.inputs(0);
  message.add_raw_input_contents(message.raw_input_contents(0));
  ExpectRefused(message, "input 'image' is given twice");
}

TEST(InferRequest, RefusesAMissingInput) {
  ExpectRefused(ModelInferRequest(), "expected 1 inputs but got 0 inputs for model 'net'. Missing: 'image'");
}

TEST(InferRequest, RefusesAnUnknownOutput) {
  ModelInferRequest message = FloatRequest();
  message.add_outputs()->set_name("logits");
  ExpectRefused(message, "unexpected inference output 'logits' for model 'net'");
}

TEST(InferRequest, RefusesADuplicateOutput) {
  ModelInferRequest message = FloatRequest();
  message.add_outputs()->set_name("scores");
  message.add_outputs()->set_name("scores");
  ExpectRefused(message, "output 'scores' is requested twice");
}

TEST(InferRequest, CutsAndEscapesWhatItQuotes) {
  ModelInferRequest message = FloatRequest();
  message.mutable_inputs(0)->set_name("\n" + std::string(200'000, 'n'));
  const std::string text(Parse(message).status().message());
  EXPECT_LT(text.size(), 400u);
  EXPECT_THAT(text, HasSubstr("'\\x0annn"));
}

// --- where the data is

TEST(InferRequest, RefusesContentsBesideRawContents) {
  ModelInferRequest message = FloatRequest();
  message.mutable_inputs(0)->mutable_contents();
  ExpectRefused(message,
                "contents field must not be specified when using raw_input_contents for 'image' for model 'net'");
}

TEST(InferRequest, RefusesAMissingRawEntry) {
  ModelInterface model = SampleModel();
  model.inputs.push_back({"second", DataType::kFloat32, Shape{1}});
  ModelInferRequest message = FloatRequest();
  auto& second = *message.add_inputs();
  second.set_name("second");
  second.set_datatype("FP32");
  SetShape(second, {2, 1});
  ExpectRefused(message, "unable to find data for input tensor 'second' for model 'net' in request.", model);
}

TEST(InferRequest, RefusesASurplusRawEntry) {
  ModelInferRequest message = FloatRequest();
  message.add_raw_input_contents("more");
  ExpectRefused(message, "got 2 raw_input_contents for 1 inputs for model 'net'");
}

TEST(InferRequest, RefusesAnInputWithoutData) {
  ExpectRefused(RequestOf("FP32", {2, 3, 2, 4}), "unable to find data for input tensor 'image' for model 'net'");
}

TEST(InferRequest, RefusesSharedMemory) {
  ModelInferRequest message = FloatRequest();
  (*message.mutable_inputs(0)->mutable_parameters())["shared_memory_region"].set_string_param("region");
  EXPECT_TRUE(absl::IsUnimplemented(Parse(message).status()));
}

// --- shapes

TEST(InferRequest, RefusesAnotherShape) {
  ModelInferRequest message = FloatRequest();
  SetShape(*message.mutable_inputs(0), {2, 3, 4, 2});
  ExpectRefused(message, "unexpected shape for input 'image' for model 'net'. Expected [-1,3,2,4], got [2,3,4,2]");
}

TEST(InferRequest, RefusesAShapeWithoutABatch) {
  ExpectRefused(RawRequest("FP32", {3, 2, 4}, std::string(96, '\0')), "Expected [-1,3,2,4], got [3,2,4]");
}

TEST(InferRequest, RefusesABatchOfZero) { ExpectRefused(RawRequest("FP32", {0, 3, 2, 4}, ""), "has the extent 0"); }

TEST(InferRequest, RefusesNegativeExtents) {
  for (const int64_t extent : {int64_t{-1}, INT64_MIN}) {
    ExpectRefused(RawRequest("FP32", {extent, 3, 2, 4}, std::string(96, '\0')), "every extent of a request must be 1");
  }
}

TEST(InferRequest, RefusesABatchAboveTheLimit) {
  for (const int64_t batch : {int64_t{5}, int64_t{1} << 32, (int64_t{1} << 32) + 1, int64_t{1} << 62}) {
    ExpectRefused(RawRequest("FP32", {batch, 3, 2, 4}, std::string(96, '\0')),
                  "inference request batch-size must be <= 4 for 'net'");
  }
}

TEST(InferRequest, RefusesASizeThatOverflows) {
  ExpectRefused(RawRequest("UINT8", {4, int64_t{1} << 31, int64_t{1} << 31, 3}, ""), "has more than 2^63 elements");
}

TEST(InferRequest, RefusesAHighRank) {
  ExpectRefused(RawRequest("FP32", std::vector<int64_t>(100'000, 1), std::string(4, '\0')), "has 100000 dimensions");
  ExpectRefused(RawRequest("FP32", {}, std::string(4, '\0')), "has 0 dimensions");
}

TEST(InferRequest, RefusesBatchesThatDiffer) {
  ModelInterface model = SampleModel();
  model.inputs.push_back({"second", DataType::kFloat32, Shape{1}});
  ModelInferRequest message = FloatRequest();
  auto& second = *message.add_inputs();
  second.set_name("second");
  second.set_datatype("FP32");
  SetShape(second, {1, 1});
  message.add_raw_input_contents(std::string(4, '\0'));
  ExpectRefused(message, "batch of input 'second' for model 'net' is 1, that of the inputs before it 2", model);
}

// --- datatypes, sizes, elements

TEST(InferRequest, RefusesAnotherDatatype) {
  for (const char* datatype : {"FP16", "INT8", "fp32", ""}) {
    ExpectRefused(RawRequest(datatype, {2, 3, 2, 4}, std::string(192, '\0')), "expected FP32, UINT8 or BYTES");
  }
}

TEST(InferRequest, RefusesAnotherNumberOfBytes) {
  ModelInferRequest message = FloatRequest();
  message.mutable_raw_input_contents(0)->pop_back();
  ExpectRefused(message, "input byte size mismatch for input 'image' for model 'net'. Expected 192, got 191");
  ExpectRefused(RawRequest("UINT8", {1, 5, 7, 3}, std::string(106, 'p')), "Expected 105, got 106");
}

TEST(InferRequest, RefusesAnotherNumberOfTypedElements) {
  ModelInferRequest message = RequestOf("FP32", {1, 3, 2, 4});
  message.mutable_inputs(0)->mutable_contents()->add_fp32_contents(1);
  ExpectRefused(message, "Expected 24 in fp32_contents, got 1");
}

TEST(InferRequest, RefusesTypedElementsInAnotherField) {
  ModelInferRequest message = RequestOf("UINT8", {1, 1, 1, 3});
  for (int i = 0; i < 3; ++i) message.mutable_inputs(0)->mutable_contents()->add_uint_contents(1);
  message.mutable_inputs(0)->mutable_contents()->add_int_contents(1);
  ExpectRefused(message, "1 elements in int_contents, which is not the field of its datatype UINT8");
}

TEST(InferRequest, RefusesATypedPixelAbove255) {
  ModelInferRequest message = RequestOf("UINT8", {1, 1, 1, 3});
  for (const uint32_t value : {1u, 70000u, 2u}) message.mutable_inputs(0)->mutable_contents()->add_uint_contents(value);
  ExpectRefused(message, "element 1 of input 'image' for model 'net' is 70000, which is no UINT8");
}

TEST(InferRequest, RefusesBytesWhoseLengthsDoNotFit) {
  ExpectRefused(RawRequest("BYTES", {2}, BytesElement("one")), "element 1 of 2");
  ExpectRefused(RawRequest("BYTES", {1}, BytesElement("one", 4)), "says it has 4 bytes, 3 are left");
  ExpectRefused(RawRequest("BYTES", {1}, BytesElement("one", 0xFFFFFFFF)), "says it has 4294967295 bytes");
  ExpectRefused(RawRequest("BYTES", {1}, BytesElement("one") + "x"), "1 bytes are left after the 1 elements");
  ExpectRefused(RawRequest("BYTES", {1}, "abc"), "has no length");
}

TEST(InferRequest, RefusesImagesInAnotherShape) {
  ExpectRefused(RawRequest("BYTES", {1, 2}, BytesElement("one")), "Expected [-1] or [-1,1], got [1,2]");
  ExpectRefused(RawRequest("UINT8", {1, 5, 7, 4}, std::string(140, 'p')), "or [-1,height,width,3]");
  ExpectRefused(RawRequest("UINT8", {1, 70000, 1, 3}, std::string(210000, 'p')), "sides up to 65536");
}

TEST(InferRequest, RefusesImagesForAModelWithoutPreprocessing) {
  ModelInterface model = SampleModel();
  model.preprocessing.reset();
  ExpectRefused(RawRequest("BYTES", {1}, BytesElement("one")),
                "the model file declares no preprocessing; send FP32 [-1,3,2,4]", model);
  ExpectRefused(RawRequest("UINT8", {1, 3, 2, 4}, std::string(24, 'p')), "declares no preprocessing", model);
}

// --- parameters

TEST(InferRequest, RefusesUnknownReservedParametersAndTakesOthers) {
  ModelInferRequest message = FloatRequest();
  (*message.mutable_parameters())["triton_enable_empty_final_response"].set_bool_param(true);
  (*message.mutable_parameters())["priority"].set_uint64_param(1);
  (*message.mutable_parameters())["mine"].set_string_param("x");
  EXPECT_TRUE(Parse(message).ok());
  (*message.mutable_parameters())["triton_surprise"].set_bool_param(true);
  ExpectRefused(message, "parameter 'triton_surprise' is unknown");
}

TEST(InferRequest, RefusesAClassificationThatIsNotAPositiveInt64) {
  ModelInferRequest message = FloatRequest();
  auto& output = *message.add_outputs();
  output.set_name("scores");
  auto& parameter = (*output.mutable_parameters())["classification"];
  for (const int64_t k : {int64_t{0}, int64_t{-1}, INT64_MIN}) {
    parameter.set_int64_param(k);
    ExpectRefused(message, "must be an int64 of 1 or more");
  }
  parameter.set_string_param("3");
  ExpectRefused(message, "must be an int64 of 1 or more");
  parameter.set_uint64_param(3);
  ExpectRefused(message, "must be an int64 of 1 or more");
}

TEST(InferRequest, RefusesAClassificationOfWhatHasNoClasses) {
  for (const char* name : {"class", "map"}) {
    ModelInferRequest message = FloatRequest();
    auto& output = *message.add_outputs();
    output.set_name(name);
    (*output.mutable_parameters())["classification"].set_int64_param(1);
    ExpectRefused(message, "has no classes");
  }
}

}  // namespace
}  // namespace bitstage::server
