// Report: what one page tells about some models of one network, as numbers and words. engine/tools measures it;
// RenderPage (page.h) draws it. All text may come from files: the page escapes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bitstage::report {

// A share (0 to 1) with its interval of 95 %.
struct Share {
  double value = 0;
  double low = 0;
  double high = 0;
};

struct Accuracy {
  Share top1;
  double top5 = 0;
};

// A model against the float network on the same images.
struct Paired {
  Share agreement;
  int64_t lost = 0;  // right in float only
  int64_t won = 0;   // right here only
  Share difference;  // of top-1, this minus float; only where images have labels
};

struct Layer {
  std::string name = {};
  std::string op = {};
  std::string weights = {};  // their shape
  std::string codes = {};    // "ternary, pixel", "uniform, channel", "float32"
  double bits = 0;           // a weight at rest, before entropy coding; 32 for floats
  std::string activation = {};
  int activation_bits = 0;  // of the output, the widest channel's; 0 for floats
  int64_t bytes = 0;
  int64_t macs = 0;
};

// A value at which the model can be cut into stages.
struct Boundary {
  std::string name = {};
  std::string shape = {};
  int64_t elements = 0;
  double stored_bits = 0;                 // an element
  std::optional<double> coded_bits = {};  // Huffman-coded, on the calibration's images
  std::string coding = {};                // what its frames prefer
};

// What the served network computes before a value is rounded, and the grid it is rounded to.
struct Activation {
  std::string name = {};
  std::string grid = {};  // in words
  double low = 0;         // of the bins, equally wide; what lies outside is counted in the first or last
  double high = 0;
  std::vector<double> bins = {};  // values, zeros left out
  double zeros = 0;               // share of exact zeros
  double clipped = 0;             // share of values off the grid's ends
  double signal_to_noise_db = 0;
  // Channels that share their levels: the lowest, the distance and the number of these.
  struct Levels {
    double first = 0;
    double step = 0;
    int count = 0;
    int channels = 0;
  };
  std::vector<Levels> levels = {};
};

struct ModelReport {
  std::string name = {};  // unique on the page
  int64_t file_bytes = 0;
  double bits_per_weight = 0;
  int64_t weights = 0;
  int64_t macs = 0;
  std::optional<Accuracy> accuracy = {};
  std::optional<Paired> paired = {};
  std::string codes = {};          // of all weights, in words
  std::vector<Layer> layers = {};  // those with weights
  std::vector<Boundary> boundaries = {};
  std::vector<Activation> activations = {};
  std::vector<std::string> provenance = {};  // lines
};

struct FloatReport {
  std::string name = {};
  int64_t file_bytes = 0;
  std::optional<Accuracy> accuracy = {};
};

// What rounding one layer of the float network alone does to its answers.
struct Sensitivity {
  std::string layer = {};
  double noise = 0;  // added to the feature vector, over the margin of the decision
};

// An image to which some model answers otherwise than the float network.
struct ChangedImage {
  std::string name = {};
  std::string picture = {};  // a data URI
  std::optional<std::string> truth = {};
  std::string float_answer = {};
  struct Answer {
    size_t model = 0;  // index into Report::models
    std::string text;
  };
  std::vector<Answer> answers = {};  // those that differ
};

// How often a model says `model_answer` where the float network says `float_answer`.
struct Confusion {
  size_t model = 0;
  std::string float_answer = {};
  std::string model_answer = {};
  int64_t count = 0;
};

struct Report {
  std::string title = {};
  std::string tool_version = {};
  std::string command = {};
  std::string data = {};  // "800 of 800 images of a CIFAR-10 file"; empty: nothing was evaluated
  int64_t images = 0;     // that were evaluated
  std::vector<ModelReport> models = {};
  std::optional<FloatReport> reference = {};
  int sensitivity_bits = 0;
  int64_t sensitivity_images = 0;
  std::vector<Sensitivity> sensitivities = {};
  int64_t activation_images = 0;
  int64_t changed_total = 0;  // images that some model changed
  std::vector<ChangedImage> changed = {};
  std::vector<Confusion> confusions = {};  // the most frequent first
};

}  // namespace bitstage::report
