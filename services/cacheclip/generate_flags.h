// Flags that `ask` and `generate` share, and the call itself: streams the answer to stdout unless JSON is
// asked for.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "absl/status/statusor.h"
#include "common/engine/generate_request.h"
#include "services/cacheclip/client_options.h"

namespace cacheclip {

struct GenerateFlags {
  ClientOptions client;
  std::string question;
  std::string method = "auto", quality;
  std::string answer_start;  // continued by the model
  std::string request_id;
  double deadline_seconds = 0;  // 0: the server's default
  bool profile = false;         // say where the time went, on stderr
  GenerateOptions options;      // but method and quality
};

// `flags` must outlive the parse.
void AddGenerateFlags(CLI::App& app, GenerateFlags* flags);

// The request without chunks. INVALID_ARGUMENT for an unknown method or quality.
absl::StatusOr<GenerateRequest> MakeRequest(const GenerateFlags& flags);

// `stream`: write the answer to stdout as it comes.
absl::StatusOr<GenerateResult> CallGenerate(const GenerateFlags& flags, const GenerateRequest& request,
                                            bool stream);

}  // namespace cacheclip
