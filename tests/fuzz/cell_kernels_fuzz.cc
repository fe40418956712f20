// The codec's kernels against each other: whatever lane ends and bits they are given, all sets give the reference's
// verdict and, where it is good, its codes, and touch nothing beyond what they may; whatever codes, all sets write the
// same bytes, which come back.
#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <vector>

#include "engine/codec/huffman.h"
#include "engine/codec/kernel_choice.h"
#include "engine/codec/tables.h"
#include "tests/fuzz/fuzz_check.h"

namespace bitstage::codec {
namespace {

struct Form {
  int64_t channels;
  int64_t width;  // of an image, in pixels
  int bits;
  int shift;
  bool pairs;
  int groups;
  bool contexts;
  int max_length;
};

// Every way through the kernels: one table and several, short codes and long ones, channels of all kinds of numbers.
constexpr Form kForms[] = {
    {1, 40, 3, 0, false, 1, false, 6},  {16, 9, 3, 0, false, 1, false, 6},  {16, 9, 4, 0, false, 4, false, 7},
    {7, 12, 5, 0, false, 1, false, 8},  {20, 6, 5, 2, false, 3, false, 8},  {66, 6, 4, 0, false, 2, false, 6},
    {3, 30, 8, 0, false, 1, false, 11}, {16, 11, 3, 0, true, 1, false, 8},  {32, 8, 3, 1, true, 2, false, 8},
    {5, 20, 4, 0, true, 1, false, 11},  {64, 5, 4, 0, true, 4, false, 11},  {70, 5, 2, 0, true, 3, false, 6},
    {2, 25, 1, 0, false, 1, false, 2},  {4, 7, 3, 0, true, 2, true, 9},     {9, 5, 4, 1, false, 3, true, 8},
    {16, 6, 4, 0, true, 1, true, 11},   {1, 33, 7, 1, false, 1, false, 11}, {48, 4, 6, 0, false, 2, false, 9},
};

struct Subject {
  Form form;
  Grid grid;
  CodeTables tables;
  CompiledTables compiled;
};

Subject MakeSubject(const Form& form) {
  Subject subject = {.form = form, .grid = {}, .tables = {}, .compiled = {}};
  subject.grid.bits = {static_cast<uint8_t>(form.bits)};
  subject.grid.shift = {static_cast<uint8_t>(form.shift)};
  subject.grid.step = {1.0f};
  subject.tables.pairs = form.pairs;
  const size_t cells = size_t{1} << (form.bits * (form.pairs ? 2 : 1));
  std::minstd_rand random(static_cast<uint32_t>(form.channels));
  const int tables = form.contexts ? 5 : form.groups;
  for (int t = 0; t < tables; ++t) {
    std::vector<uint64_t> counts(cells);
    for (size_t cell = 0; cell < cells; ++cell) counts[cell] = 1 + random() % (1 + 4000 / (1 + cell * cell));
    subject.tables.lengths.push_back(TablesFromHistogram(counts, form.max_length));
  }
  for (int64_t c = 0; c < form.channels; ++c) {
    subject.tables.group_of_channel.push_back(static_cast<uint8_t>(c % form.groups));
  }
  if (form.contexts) {
    // As many as the document's formula says.
    const int largest_sum = 2 * ((1 << form.bits) - 1);
    const int contexts = form.pairs ? 4 * (largest_sum + 1) : (largest_sum >> std::max(0, form.bits - 5)) + 1;
    for (int i = 0; i < form.groups * contexts; ++i) subject.tables.of_context.push_back(random() % 5);
  }
  FUZZ_CHECK(Validate(subject.tables, subject.grid, form.channels).ok());
  subject.compiled = CompiledTables(subject.tables, subject.grid, form.channels);
  return subject;
}

const std::vector<Subject>& Subjects() {
  static const auto& subjects = *new std::vector<Subject>([] {
    std::vector<Subject> all;
    for (const Form& form : kForms) all.push_back(MakeSubject(form));
    return all;
  }());
  return subjects;
}

// Reads the input from its beginning; zeros behind its end.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  uint8_t Byte() { return size_ == 0 ? 0 : (--size_, *data_++); }
  [[nodiscard]] size_t left() const { return size_; }
  void Rest(uint8_t* to, size_t count) {
    const size_t some = std::min(count, size_);
    if (some > 0) std::memcpy(to, data_, some);
    std::memset(to + some, 0, count - some);
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

// What a call works on: pixels and lanes of a form.
struct Work {
  const Subject& subject;
  CellTables tables;
  int64_t pixels;
  int64_t lane_rows;
  int64_t lanes;
  RowBlock block;

  [[nodiscard]] size_t codes() const { return static_cast<size_t>(pixels * tables.channels); }
  bool Encode(const CellKernels& kernels, const uint8_t* from, const uint8_t* limit, BitSink* sink,
              uint32_t* lane_bits) const {
    return tables.of_context != nullptr ? kernels.encode_contexts(tables, from, block, limit, sink, lane_bits)
                                        : kernels.encode_plain(tables, from, pixels, lane_rows, limit, sink, lane_bits);
  }
  bool Decode(const CellKernels& kernels, const uint8_t* stream, const int64_t* lane_at, uint8_t* to) const {
    return tables.of_context != nullptr ? kernels.decode_contexts(tables, stream, lane_at, block, to)
                                        : kernels.decode_plain(tables, stream, lane_at, lanes, lane_rows, pixels, to);
  }
};

Work MakeWork(Input& input) {
  const Subject& subject = Subjects()[input.Byte() % Subjects().size()];
  Work work = {subject, subject.compiled.view(), 0, 1, 0, {}};
  const int size = input.Byte();
  if (subject.form.contexts) {
    work.lanes = 1 + size % 12;
    work.pixels = work.lanes * subject.form.width;
    const int place = input.Byte();
    work.block = {subject.form.width, 1 + place % 7, place / 7 % 9, false, work.lanes};
    return work;
  }
  work.pixels = 1 + size % 90;
  const int64_t rows = subject.form.pairs ? (work.pixels + 1) / 2 : work.pixels;
  work.lane_rows = std::max<int64_t>(1 + input.Byte() % 4, (rows + kMaxLanes - 1) / kMaxLanes);
  work.lanes = (rows + work.lane_rows - 1) / work.lane_rows;
  return work;
}

// Buffers of their exact sizes on the heap, so that AddressSanitizer sees a byte too far.
void DecodeAnything(const Work& work, const std::vector<uint8_t>& room, const std::vector<int64_t>& lane_at) {
  const std::vector<uint8_t> exact(room.begin(), room.end());
  const uint8_t* const stream = exact.data() + 4;
  std::vector<uint8_t> expected(work.codes());
  const bool good = work.Decode(ReferenceKernels(), stream, lane_at.data(), expected.data());
  for (const CellKernels* kernels : SupportedKernels()) {
    std::vector<uint8_t> codes(work.codes());
    FUZZ_CHECK(work.Decode(*kernels, stream, lane_at.data(), codes.data()) == good);
    FUZZ_CHECK(!good || codes == expected);
  }
}

void AnyBits(const Work& work, Input& input) {
  std::vector<int64_t> lane_at = {0};
  const int average = input.Byte();
  for (int64_t lane = 0; lane < work.lanes; ++lane) lane_at.push_back(lane_at.back() + average + input.Byte() % 8);
  std::vector<uint8_t> room(static_cast<size_t>((lane_at.back() + 7) / 8) + 8);
  input.Rest(room.data(), room.size());
  DecodeAnything(work, room, lane_at);
}

void AnyCodes(const Work& work, Input& input) {
  const int damage = input.Byte();
  const int where = input.Byte() | input.Byte() << 8;
  std::vector<uint8_t> codes(work.codes());
  input.Rest(codes.data(), codes.size());
  const CellTables& tables = work.tables;
  const uint8_t off = ReferenceKernels().off_grid(tables, codes.data(), work.pixels);
  for (const CellKernels* kernels : SupportedKernels()) {
    FUZZ_CHECK(kernels->off_grid(tables, codes.data(), work.pixels) == off);
  }
  const Form& form = work.subject.form;
  for (uint8_t& code : codes) code = static_cast<uint8_t>(code & ((1 << form.bits) - 1) << form.shift);

  std::vector<uint8_t> expected;
  std::vector<int64_t> lane_at = {0};
  std::vector<uint32_t> expected_counts;
  for (const CellKernels* kernels : SupportedKernels()) {
    std::vector<uint8_t> room(4 + 2 * codes.size() + 8 + 72 + 2 * static_cast<size_t>(form.channels));
    const size_t limit = damage == 1 ? static_cast<size_t>(where) % (codes.size() + 1) : 2 * codes.size() + 8;
    std::vector<uint32_t> lane_bits(static_cast<size_t>(work.lanes));
    BitSink sink = {room.data() + 4, 0, 0};
    const bool fits = work.Encode(*kernels, codes.data(), room.data() + 4 + limit, &sink, lane_bits.data());
    if (fits) {
      if (sink.count > 0) *sink.at++ = static_cast<uint8_t>(sink.bits);
      room.resize(static_cast<size_t>(sink.at - room.data()));
    } else {
      room.clear();
    }
    if (kernels == SupportedKernels().front()) {
      expected = room;
      for (const uint32_t bits : lane_bits) lane_at.push_back(lane_at.back() + bits);
    }
    FUZZ_CHECK(room == expected);
    if (tables.of_context == nullptr) {
      std::vector<uint32_t> counts(static_cast<size_t>(tables.tables) << tables.stride_bits);
      kernels->count(tables, codes.data(), work.pixels, counts.data());
      if (expected_counts.empty()) expected_counts = counts;
      FUZZ_CHECK(counts == expected_counts);
    }
  }
  if (expected.empty()) return;
  expected.resize(expected.size() + 4, 0x5a);
  std::vector<uint8_t> back(codes.size());
  FUZZ_CHECK(work.Decode(ReferenceKernels(), expected.data() + 4, lane_at.data(), back.data()));
  FUZZ_CHECK(back == codes);
  if (damage >= 2 && damage < 128)
    expected[4 + static_cast<size_t>(where) % (expected.size() - 8 + 1)] ^= 1 << damage % 8;
  if (damage >= 128 && work.lanes > 1) {
    ++lane_at[1 + static_cast<size_t>(where) % static_cast<size_t>(work.lanes - 1)];
    std::sort(lane_at.begin(), lane_at.end());
  }
  DecodeAnything(work, expected, lane_at);
}

}  // namespace
}  // namespace bitstage::codec

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bitstage::codec;
  Input input(data, size);
  const bool any_bits = input.Byte() % 2 == 0;
  const Work work = MakeWork(input);
  if (any_bits) {
    AnyBits(work, input);
  } else {
    AnyCodes(work, input);
  }
  return 0;
}
