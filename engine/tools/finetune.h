// What the verb finetune and the program behind it share.
//
// libtorch makes a program start slowly (some 280 shared libraries). So bitstage-model does without: its verb
// `finetune` runs bitstage-finetune, which lies beside it and is built where libtorch is found, with the same words.
#pragma once

#include "engine/tools/command.h"

namespace bitstage {

inline constexpr absl::string_view kFinetuneProgram = "bitstage-finetune";

// The verb with its flags, doing `run`.
Command FinetuneCommand(absl::Status (*run)(const Arguments& arguments, Console& console));

}  // namespace bitstage
