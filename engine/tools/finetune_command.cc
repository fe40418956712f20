// bitstage-model finetune: the flags, and the way to the program that trains.
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/tools/finetune.h"

namespace bitstage {
namespace {

absl::Status RunTrainer(const Arguments& arguments, Console& console) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string program = self.parent_path() / std::string(kFinetuneProgram);
  if (error || access(program.c_str(), X_OK) != 0) {
    return absl::UnimplementedError(absl::StrCat(
        "this build cannot train: ", kFinetuneProgram, " is not beside ", self.filename().string(),
        ". It needs libtorch: `scripts/install_packages.sh training` (libtorch-dev, 42 MB), then build again"));
  }
  std::vector<std::string> words = {program, "finetune"};
  words.insert(words.end(), arguments.words().begin(), arguments.words().end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  console.out.flush();
  console.err.flush();
  execv(program.c_str(), pointers.data());
  return absl::ErrnoToStatus(errno, absl::StrCat(program, ": cannot be run"));
}

}  // namespace

Command FinetuneCommand() { return FinetuneCommand(RunTrainer); }

Command FinetuneCommand(absl::Status (*run)(const Arguments& arguments, Console& console)) {
  return {
      .name = "finetune",
      .synopsis = "NET.onnx --data PATH [PATH…] -o M.bitstage [--checkpoint FILE]",
      .summary = "Train a low-bit network: SYQ codes or weights of 2 to 8 bits, low-bit activations.",
      .details =
          "The float network teaches (--loss distill: images need no labels), or labels do. First and last layer and\n"
          "depthwise layers get 8-bit weights. Each data set gives an equal share of every batch; held-back images "
          "come\n"
          "from the first. With --checkpoint a run that was ended, by Ctrl-C or anything else, goes on where it was\n"
          "when the same command is given again, to the same bytes.\n"
          "--weights      binary|ternary[:pixel|row|layer], or inner:BITS: as many bits, a learned scale an output "
          "channel\n"
          "--activations  BITS, or BITS,BITS,… for equal parts of the training\n"
          "--eta          max:SHARE or mean:SHARE, the threshold below which a ternary weight is 0",
      .flags = {{.name = "data", .value = "PATH", .help = "images, one or more sets", .required = true, .many = true},
                {.name = "weights", .value = "HOW", .help = "the codes (ternary:pixel)"},
                {.name = "activations", .value = "BITS", .help = "their width, 2 to 8 (4)"},
                {.name = "images", .value = "N", .help = "train on so many in all (80000)"},
                {.name = "batch", .value = "N", .help = "images a step (32)"},
                {.name = "loss", .value = "KIND", .help = "distill or labels (distill)"},
                {.name = "temperature", .value = "T", .help = "of distillation (4)"},
                {.name = "optimizer", .value = "KIND", .help = "adam or sgd (adam)"},
                {.name = "rate", .value = "R", .help = "the learning rate (0.001)"},
                {.name = "schedule", .value = "KIND", .help = "cosine or step (cosine)"},
                {.name = "warmup", .value = "N", .help = "steps in which the rate rises (50)"},
                {.name = "momentum", .value = "M", .help = "of sgd (0.9)"},
                {.name = "weight-decay", .value = "D", .help = "decoupled, of the weights (0)"},
                {.name = "steps", .value = "KIND", .help = "how activation steps learn: lsq, pact or fixed (lsq)"},
                {.name = "norm", .value = "KIND", .help = "batch or none (batch)"},
                {.name = "frozen", .value = "SHARE", .help = "of the training with norms as served (0.1)"},
                {.name = "eta", .value = "RULE", .help = "of ternary codes (max:0.05, the paper's)"},
                {.name = "zeros", .value = "KIND", .help = "gradient of weights coded 0: paper or scaled (paper)"},
                {.name = "max-alpha", .value = "N", .help = "largest folded weight; 14: exact Winograd kernels (127)"},
                {.name = "shift", .value = "N", .help = "pixels that a picture may move (4)"},
                {.name = "no-flip", .help = "do not mirror pictures"},
                {.name = "mix", .help = "train on mixtures of two pictures (distillation; for long runs)"},
                {.name = "held-back", .value = "N", .help = "images never trained on (500)"},
                {.name = "seed", .value = "N", .help = "of everything random (1)"},
                {.name = "threads", .value = "N", .help = "of the training; part of the run (1)"},
                {.name = "checkpoint", .value = "FILE", .help = "write the run here, and go on from it"},
                {.name = "checkpoint-every", .value = "N", .help = "steps (500)"},
                {.name = "evaluate-every", .value = "N", .help = "steps (500)"},
                {.name = "patience", .value = "N", .help = "end after so many evaluations without a better one"},
                {.name = "from", .value = "FILE", .help = "begin with the weights of another run's checkpoint"},
                {.name = "benchmark", .value = "N", .help = "time N steps and write nothing"},
                {.name = "output", .letter = 'o', .value = "FILE", .help = "the model to write"},
                {.name = "json", .help = "print one JSON object as the last line"}},
      .min_positional = 1,
      .max_positional = 1,
      .run = run};
}

}  // namespace bitstage
