#include "engine/tensor/weight_codes.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace bitstage {

absl::string_view Name(Codebook codebook) {
  switch (codebook) {
    case Codebook::kBinary: return "binary";
    case Codebook::kTernary: return "ternary";
    case Codebook::kUniform: return "uniform";
  }
  return "?";
}

absl::string_view Name(ScaleKind kind) {
  switch (kind) {
    case ScaleKind::kLayer: return "layer";
    case ScaleKind::kChannel: return "channel";
    case ScaleKind::kRow: return "row";
    case ScaleKind::kPixel: return "pixel";
  }
  return "?";
}

int WeightCodes::AlphaOf(int64_t y, int64_t x) const {
  if (kind == ScaleKind::kRow) return alpha[static_cast<size_t>(y)];
  if (kind == ScaleKind::kPixel) return alpha[static_cast<size_t>(y * shape[3] + x)];
  return 1;
}

std::vector<int8_t> WeightCodes::Folded() const {
  std::vector<int8_t> folded = codes;
  if (alpha.empty()) return folded;
  std::vector<int> alphas;
  for (int64_t y = 0; y < shape[2]; ++y) {
    for (int64_t x = 0; x < shape[3]; ++x) alphas.push_back(AlphaOf(y, x));
  }
  for (size_t i = 0; i < folded.size(); i += alphas.size()) {
    for (size_t p = 0; p < alphas.size(); ++p) folded[i + p] = static_cast<int8_t>(folded[i + p] * alphas[p]);
  }
  return folded;
}

std::vector<float> WeightCodes::Dequantized() const {
  const std::vector<int8_t> folded = Folded();
  const auto per_output = static_cast<size_t>(shape.InnerElements(0));
  std::vector<float> values(folded.size());
  for (size_t i = 0; i < folded.size(); ++i) {
    values[i] = ScaleOf(static_cast<int64_t>(i / per_output)) * static_cast<float>(folded[i]);
  }
  return values;
}

double WeightCodes::BitsAtRest() const {
  switch (codebook) {
    case Codebook::kBinary: return 1.0;
    case Codebook::kTernary: return 1.6;
    case Codebook::kUniform: return bits;
  }
  return 8;
}

namespace {

template <typename... Parts>
absl::Status Refuse(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("weights: ", parts...));
}

}  // namespace

absl::Status ValidateWithoutCodes(const WeightCodes& w) {
  if (w.shape.rank() != 2 && w.shape.rank() != 4) return Refuse("rank ", w.shape.rank(), ", expected 2 or 4");
  const std::optional<int64_t> elements = w.shape.CheckedElements();
  if (!elements || *elements < 1) return Refuse("shape ", w.shape.ToString());
  const int expected_bits = w.codebook == Codebook::kBinary ? 1 : w.codebook == Codebook::kTernary ? 2 : w.bits;
  if (w.bits != expected_bits || w.bits > 8 || (w.codebook == Codebook::kUniform && w.bits < 2)) {
    return Refuse(w.bits, " bits for a ", Name(w.codebook), " codebook");
  }
  const auto outputs = static_cast<size_t>(w.shape[0]);
  const bool may_be_one = w.kind != ScaleKind::kChannel && w.scale.size() == 1;
  const bool may_be_all = w.kind != ScaleKind::kLayer && w.scale.size() == outputs;
  if (!may_be_one && !may_be_all) {
    return Refuse(w.scale.size(), " scales, expected ", w.kind == ScaleKind::kChannel ? outputs : 1,
                  w.kind == ScaleKind::kRow || w.kind == ScaleKind::kPixel ? absl::StrCat(" or ", outputs) : "");
  }
  for (const float s : w.scale) {
    if (!std::isfinite(s) || !(s > 0)) return Refuse("scale ", s, ", expected a positive number");
  }
  size_t alphas = 0;
  if (w.kind == ScaleKind::kRow || w.kind == ScaleKind::kPixel) {
    if (w.shape.rank() != 4) return Refuse(Name(w.kind), "-wise scales need a convolution kernel");
    alphas = static_cast<size_t>(w.kind == ScaleKind::kRow ? w.shape[2] : w.shape[2] * w.shape[3]);
  }
  if (w.alpha.size() != alphas) return Refuse(w.alpha.size(), " alphas, expected ", alphas);
  for (const uint8_t a : w.alpha) {
    if (a < 1 || a * w.MaxMagnitude() > 127) return Refuse("alpha ", a, " is outside 1 to ", 127 / w.MaxMagnitude());
  }
  return absl::OkStatus();
}

absl::Status Validate(const WeightCodes& w) {
  if (const absl::Status status = ValidateWithoutCodes(w); !status.ok()) return status;
  if (static_cast<size_t>(w.shape.elements()) != w.codes.size()) {
    return Refuse(w.codes.size(), " codes for shape ", w.shape.ToString());
  }
  // A pass that needs no branch a code, then one that finds the wrong code to name it.
  const auto most = static_cast<int8_t>(w.MaxMagnitude());
  const auto least = static_cast<int8_t>(-most);
  const int8_t no_code = w.codebook == Codebook::kBinary ? 0 : -128;
  const auto is_wrong = [=](int8_t code) { return (code > most) | (code < least) | (code == no_code); };
  uint8_t any_wrong = 0;
  for (const int8_t code : w.codes) any_wrong |= static_cast<uint8_t>(is_wrong(code));
  if (any_wrong != 0) {
    const int8_t code = *std::find_if(w.codes.begin(), w.codes.end(), is_wrong);
    return Refuse("code ", static_cast<int>(code), " is not in the ", Name(w.codebook), " codebook of ", w.bits,
                  " bits");
  }
  return absl::OkStatus();
}

}  // namespace bitstage
