// Times an int8 fully connected layer of oneDNN, batch 1, one thread unless OMP_NUM_THREADS says otherwise: u8 codes
// and s8 weights in oneDNN's own layout, float32 outputs with a scale per output, as bitstage gives them. Prints one
// JSON object: the faster of oneDNN's inner product and its matrix product.
//   onednn_fully_connected INPUTS OUTPUTS
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unordered_map>
#include <vector>

#include "dnnl.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using dnnl::memory;
using Type = memory::data_type;
using Tag = memory::format_tag;

memory Filled(const memory::desc& desc, const dnnl::engine& engine) {
  memory result(desc, engine);
  auto* bytes = static_cast<unsigned char*>(result.get_data_handle());
  for (size_t i = 0; i < desc.get_size(); ++i) bytes[i] = static_cast<unsigned char>(i * 37 % 11);
  return result;
}

template <typename Primitive, typename Descriptor>
double MedianMilliseconds(const Descriptor& descriptor, const dnnl::engine& engine, std::string& implementation) {
  dnnl::stream stream(engine);
  const Primitive primitive(descriptor);
  const std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, Filled(descriptor.src_desc(), engine)},
                                                     {DNNL_ARG_WEIGHTS, Filled(descriptor.weights_desc(), engine)},
                                                     {DNNL_ARG_DST, Filled(descriptor.dst_desc(), engine)}};
  std::vector<double> times;
  const auto start = Clock::now();
  while (times.size() < 20 || Clock::now() - start < std::chrono::milliseconds(400)) {
    const auto begin = Clock::now();
    primitive.execute(stream, arguments);
    stream.wait();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  implementation = descriptor.impl_info_str();
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s INPUTS OUTPUTS\n", argv[0]);
    return 2;
  }
  const memory::dim inputs = std::atol(argv[1]);
  const memory::dim outputs = std::atol(argv[2]);
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::primitive_attr attributes;
  attributes.set_output_scales(2, std::vector<float>(static_cast<size_t>(outputs), 0.01f));

  const memory::desc source({1, inputs}, Type::u8, Tag::ab);
  const memory::desc target({1, outputs}, Type::f32, Tag::ab);
  const dnnl::inner_product_forward::primitive_desc inner_product(
      dnnl::inner_product_forward::desc(dnnl::prop_kind::forward_inference, source,
                                        memory::desc({outputs, inputs}, Type::s8, Tag::any), target),
      attributes, engine);
  const dnnl::matmul::primitive_desc product(
      dnnl::matmul::desc(source, memory::desc({inputs, outputs}, Type::s8, Tag::any), target), attributes, engine);

  std::string names[2];
  const double times[2] = {MedianMilliseconds<dnnl::inner_product_forward>(inner_product, engine, names[0]),
                           MedianMilliseconds<dnnl::matmul>(product, engine, names[1])};
  const int best = times[1] < times[0] ? 1 : 0;
  const dnnl_version_t* version = dnnl_version();
  std::printf("{\"ms\": %.5f, \"implementation\": \"%s %s\", \"version\": \"%d.%d.%d\"}\n", times[best],
              best == 0 ? "inner product" : "matmul", names[best].c_str(), version->major, version->minor,
              version->patch);
  return 0;
}
