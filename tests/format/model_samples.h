// Models for the tests of the model file: a tiny one whose bytes can be counted, and one that has everything.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/format/model_container.h"
#include "engine/format/model_meta.h"
#include "engine/graph/model.h"

namespace bitstage {

// Random codes of a codebook, with scales and alphas as the kind has them.
WeightCodes RandomCodes(Shape shape, Codebook codebook, int bits, ScaleKind kind, uint32_t seed);

// One 2x1x2x2 ternary convolution on 1x2x2, with bias.
Model TinyModel();

// Every operator, every codebook, width and scale kind, grids of every form, and all the rest that a file can hold.
Model ModelWithEverything(uint32_t seed);

std::string FileOf(const Model& model);
std::string FileOf(const ModelBytes& sections);
inline std::span<const std::byte> BytesOf(const std::string& text) { return std::as_bytes(std::span(text)); }

// Field by field; a GoogleTest failure for each difference.
void ExpectEqual(const Op& actual, const Op& expected);
void ExpectEqual(const Model& actual, const Model& expected);

}  // namespace bitstage
