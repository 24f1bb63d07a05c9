// Flags of the verbs that talk to a server, and the channel they lead to. Plain values.
#pragma once

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "absl/status/statusor.h"
#include "common/rpc/channel.h"

namespace cacheclip {

struct ClientOptions {
  std::string server = "127.0.0.1:50051";
  std::string tls_ca, tls_certificate, tls_key;
  std::string namespace_name = "default";
  std::string data_dir;  // where the local index is
  bool json = false;
};

// `options` must outlive the parse. Defaults come from CACHECLIP_SERVER, CACHECLIP_NAMESPACE and
// CACHECLIP_DATA_DIR.
void AddClientOptions(CLI::App& app, ClientOptions* options);

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const ClientOptions& options);

std::string LocalIndexFileOf(const ClientOptions& options);

}  // namespace cacheclip
