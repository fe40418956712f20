// Helpers that compare an executable's outputs with the oracle's.
#pragma once

#include <memory>
#include <vector>

#include "engine/runtime/executable.h"
#include "tests/runtime/oracle.h"

namespace bitstage {

std::shared_ptr<const Model> ModelOf(Graph graph);

// Uniform codes of `bits` bits with one scale, a fixed pattern.
WeightCodes PatternCodes(const Shape& shape, int bits, float scale);

// Compiles or fails the test.
std::shared_ptr<const Executable> CompileOrDie(std::shared_ptr<const Model> model, std::optional<Isa> isa = {});

// `count` images of the graph's first input, one after the other.
Tensor ImagesFor(const Graph& graph, int64_t count, unsigned seed);

// The bytes that image `image` of output `index` must have, laid out as Executable promises.
std::vector<std::byte> ExpectedBytes(const Graph& graph, const std::vector<OracleValue>& values, size_t index);

// The bytes that one image of a session's output has.
std::vector<std::byte> OutputBytes(const Session& session, size_t index, int64_t image);

}  // namespace bitstage
