// A gRPC server from start to drain: listens, answers health (one name per service and "") and reflection,
// counts and logs every call, refuses to listen beyond loopback unless told to, drains on Shutdown().
//
//   CACHECLIP_ASSIGN_OR_RETURN(auto server, RpcServer::Start(options, std::move(services)));
//   WaitForShutdownSignal();            // common/rpc/shutdown_signal.h
//   server->Shutdown(absl::Seconds(30));
//
// Synchronous API: a thread per running call, bounded by max_threads; a call beyond that is refused with
// RESOURCE_EXHAUSTED. Thread-safe. What the services point to must outlive the server.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/rpc_service.h"

namespace grpc {
class Channel;
}

namespace cacheclip {

class Metrics;

struct TlsServerOptions {
  std::string certificate_file, key_file;  // PEM; both or none
  std::string client_ca_file;              // PEM; if set, clients must show a certificate signed by it (mTLS)
};

struct RpcServerOptions {
  std::string address = "127.0.0.1";  // IP literal or "localhost"; IPv6 without brackets
  int port = 0;                       // 0 = any free one; see port()
  bool insecure_listen = false;  // allow an address beyond loopback although nothing authenticates callers
  TlsServerOptions tls;
  int64_t max_message_bytes = int64_t{16} << 20;      // of one request message, and of one response message
  int max_threads = 256;                              // running calls; raise together with admission limits
  int64_t max_buffer_bytes = int64_t{512} << 20;      // network buffers of all calls together
  absl::Duration keepalive_time = absl::Seconds(60);  // ping an idle connection this often
  absl::Duration keepalive_timeout = absl::Seconds(20);  // and give it up after this
  Metrics* metrics = nullptr;                            // may be null
};

class RpcServer {
 public:
  // FAILED_PRECONDITION naming the address for a wider address without insecure_listen; UNAVAILABLE naming
  // address and port when the port is in use; NOT_FOUND or INVALID_ARGUMENT naming the file for TLS.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(const RpcServerOptions& options,
                                                          std::vector<RpcService> services);
  ~RpcServer();  // Shutdown() without grace if it was not called

  int port() const;
  std::string target() const;  // "127.0.0.1:50051", for clients on this machine

  // A channel to this server that needs neither port nor certificate: for a process that calls itself.
  std::shared_ptr<grpc::Channel> InProcessChannel();

  // What health answers for the service ("" = all). Serving from the start.
  void SetServing(std::string_view service_name, bool serving);

  // Health turns to NOT_SERVING, new calls are refused, running ones have `grace` to finish and are then
  // cancelled.
  void Shutdown(absl::Duration grace);

 private:
  class Impl;
  explicit RpcServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// True for 127.0.0.0/8, ::1 and "localhost".
bool IsLoopbackAddress(std::string_view address);

}  // namespace cacheclip
