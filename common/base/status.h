// Errors as values. Every seam (input, network, disk) returns absl::Status; this header adds the two
// early-return macros and the convention by which an error names the request field that caused it.
//
//   CACHECLIP_RETURN_IF_ERROR(Write(bytes));
//   CACHECLIP_ASSIGN_OR_RETURN(auto config, ParseConfig(text));
//   return InvalidField("options.budget", absl::StrCat("must be between 0 and 1, got ", budget));
//
// Thread-safe: values only.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define CACHECLIP_CONCAT_INNER(a, b) a##b
#define CACHECLIP_CONCAT(a, b) CACHECLIP_CONCAT_INNER(a, b)

#define CACHECLIP_RETURN_IF_ERROR(expression)                                                          \
  do {                                                                                                 \
    if (absl::Status cacheclip_status = (expression); !cacheclip_status.ok()) return cacheclip_status; \
  } while (false)

#define CACHECLIP_ASSIGN_OR_RETURN(declaration, expression) \
  CACHECLIP_ASSIGN_OR_RETURN_INNER(CACHECLIP_CONCAT(cacheclip_statusor_, __LINE__), declaration, expression)
#define CACHECLIP_ASSIGN_OR_RETURN_INNER(statusor, declaration, expression) \
  auto statusor = (expression);                                             \
  if (!statusor.ok()) return std::move(statusor).status();                  \
  declaration = *std::move(statusor)

namespace cacheclip {

// INVALID_ARGUMENT that names a field: message "<field>: <problem>", and the field again as a payload for the
// RPC layer.
absl::Status InvalidField(std::string_view field, std::string_view problem);

// The same for any other code (NOT_FOUND, FAILED_PRECONDITION, RESOURCE_EXHAUSTED, …). `code` must not be
// kOk.
absl::Status FieldError(absl::StatusCode code, std::string_view field, std::string_view problem);

// The field an error names, or "" if it names none.
std::string FieldOf(const absl::Status& status);

// The same status with "<context>: " before its message; payloads are kept. OK stays OK.
absl::Status WithContext(const absl::Status& status, std::string_view context);

}  // namespace cacheclip
