// How clients reach a server: plaintext on loopback, TLS or mTLS anywhere. One channel per target, shared by
// clients; it connects lazily and reconnects by itself. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace grpc {
class Channel;
}

namespace cacheclip {

struct TlsClientOptions {
  bool enabled = false;
  std::string ca_file;                     // PEM; "" = the system's roots
  std::string certificate_file, key_file;  // PEM, for mTLS; both or none
  std::string server_name;                 // expected in the certificate; "" = the target's host
};

struct ChannelOptions {
  std::string target;  // "127.0.0.1:50051"
  TlsClientOptions tls;
  int64_t max_message_bytes = int64_t{16} << 20;
};

// NOT_FOUND naming a file that cannot be read. Does not connect yet.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options);

}  // namespace cacheclip
