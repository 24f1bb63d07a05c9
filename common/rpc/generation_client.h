// A generation service as ordinary calls: what the CLI and tests use. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/engine/generate_request.h"
#include "common/rpc/channel.h"
#include "common/text/tokenizer.h"

namespace cacheclip {

// GetModelInfoResponse, free of transport.
struct ModelInfo {
  std::string model_name, family, compute_dtype, kv_dtype;
  int64_t num_parameters = 0;
  int32_t num_layers = 0;
  int64_t max_positions = 0;
  std::string model_fingerprint, tokenizer_fingerprint;  // hex
  uint32_t chunk_format_version = 0;
  int64_t kv_bytes_per_token = 0;
  std::vector<std::pair<std::string, std::string>> methods;  // id, summary
  bool has_selector = false;
  std::string server_version;
};

struct GenerateStreamCallbacks {
  std::function<void(const std::string& request_id)> on_accepted;
  std::function<void(const TokenEvent&)> on_token;
};

class GenerationClient {
 public:
  explicit GenerationClient(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {}

  // Blocks until the terminal event. An `error` event comes back as its status. Cancelling the token ends the
  // call between two events; its deadline is the call's.
  absl::StatusOr<GenerateResult> Generate(const GenerateRequest& request,
                                          const CancellationToken& cancellation,
                                          const GenerateStreamCallbacks& callbacks = {});
  absl::StatusOr<Encoding> Tokenize(const std::string& text);
  absl::StatusOr<ModelInfo> GetModelInfo();
  absl::Status Abort(const std::string& request_id);

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace cacheclip
