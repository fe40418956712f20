// A model's interface and requests that fit it, to be spoilt by tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/inference.pb.h"
#include "server/repository/model_interface.h"

namespace bitstage::server {

// Input "image" FP32 3 x 2 x 4; outputs "scores" FP32 5, "class" INT64 1, "map" FP32 2 x 2 x 4; at most 4 images.
inline ModelInterface SampleModel() {
  ModelInterface model;
  model.name = "net";
  model.version = "7";
  model.inputs = {{"image", DataType::kFloat32, Shape{3, 2, 4}}};
  model.outputs = {{"scores", DataType::kFloat32, Shape{5}},
                   {"class", DataType::kInt64, Shape{1}},
                   {"map", DataType::kFloat32, Shape{2, 2, 4}}};
  model.preprocessing = Preprocessing{};
  model.preprocessing->height = 2;
  model.preprocessing->width = 4;
  model.labels = {"zero", "one", "two"};
  model.max_batch = 4;
  return model;
}

inline void SetShape(inference::ModelInferRequest::InferInputTensor& input, const std::vector<int64_t>& shape) {
  input.clear_shape();
  for (const int64_t extent : shape) input.add_shape(extent);
}

inline inference::ModelInferRequest RequestOf(const std::string& datatype, const std::vector<int64_t>& shape) {
  inference::ModelInferRequest request;
  request.set_model_name("net");
  auto& input = *request.add_inputs();
  input.set_name("image");
  input.set_datatype(datatype);
  SetShape(input, shape);
  return request;
}

inline inference::ModelInferRequest RawRequest(const std::string& datatype, const std::vector<int64_t>& shape,
                                               std::string raw) {
  inference::ModelInferRequest request = RequestOf(datatype, shape);
  request.add_raw_input_contents(std::move(raw));
  return request;
}

// Two images, raw.
inline inference::ModelInferRequest FloatRequest() {
  return RawRequest("FP32", {2, 3, 2, 4}, std::string(2 * 24 * sizeof(float), '\0'));
}

// An element of a raw BYTES tensor; `length` lies where it is given.
inline std::string BytesElement(const std::string& bytes, int64_t length = -1) {
  const auto said = static_cast<uint32_t>(length < 0 ? static_cast<int64_t>(bytes.size()) : length);
  std::string element;
  for (int shift = 0; shift < 32; shift += 8) element.push_back(static_cast<char>(said >> shift & 0xFF));
  return element + bytes;
}

}  // namespace bitstage::server
