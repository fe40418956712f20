// bitstage-model: the offline half of bitstage, one verb a task.
#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "engine/tools/command.h"

int main(int argc, char** argv) {
  const std::vector<bitstage::Command> commands = {
      bitstage::ImportCommand(), bitstage::QuantizeCommand(), bitstage::FinetuneCommand(), bitstage::EvaluateCommand(),
      bitstage::RunCommand(),    bitstage::BenchCommand(),    bitstage::InspectCommand(),  bitstage::PartitionCommand(),
      bitstage::StudyCommand(),  bitstage::ReportCommand(),
  };
  const std::vector<std::string> words(argv + 1, argv + argc);
  bitstage::Console console{.out = std::cout, .err = std::cerr, .out_is_terminal = isatty(STDOUT_FILENO) == 1};
  return bitstage::RunProgram(commands, words, console);
}
