// Early return on absl::Status / absl::StatusOr (Debian's Abseil has no status_macros.h).
//
//   BITSTAGE_RETURN_IF_ERROR(Validate(x));
//   BITSTAGE_ASSIGN_OR_RETURN(const Shape shape, ReadShape(reader));
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define BITSTAGE_CONCAT_INNER(a, b) a##b
#define BITSTAGE_CONCAT(a, b) BITSTAGE_CONCAT_INNER(a, b)

#define BITSTAGE_RETURN_IF_ERROR(expression)                                  \
  do {                                                                        \
    if (absl::Status bitstage_status = (expression); !bitstage_status.ok()) { \
      return bitstage_status;                                                 \
    }                                                                         \
  } while (false)

#define BITSTAGE_ASSIGN_OR_RETURN(declaration, expression) \
  BITSTAGE_ASSIGN_OR_RETURN_IMPL(BITSTAGE_CONCAT(bitstage_or_, __LINE__), declaration, expression)
#define BITSTAGE_ASSIGN_OR_RETURN_IMPL(result, declaration, expression) \
  auto result = (expression);                                           \
  if (!result.ok()) return std::move(result).status();                  \
  declaration = *std::move(result)
