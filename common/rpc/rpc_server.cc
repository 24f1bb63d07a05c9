#include "common/rpc/rpc_server.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <utility>

#include <arpa/inet.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/channel_arguments.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/rpc/call_observer.h"
#include "common/rpc/tls_files.h"

namespace cacheclip {
namespace {

constexpr int kMinThreads = 16;  // pollers of gRPC itself included
constexpr int kMinClientPingMilliseconds = 10'000;

std::string JoinHostPort(std::string_view address, int port) {
  const bool is_ipv6 = address.find(':') != std::string_view::npos;
  return absl::StrCat(is_ipv6 ? "[" : "", AbslView(address), is_ipv6 ? "]:" : ":", port);
}

// gRPC says only that it could not listen. Asks the system for the reason, for IPv4; "" if it sees none.
std::string WhyNotListening(const std::string& address, int port) {
  sockaddr_in socket_address{};
  socket_address.sin_family = AF_INET;
  socket_address.sin_port = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET, address == "localhost" ? "127.0.0.1" : address.c_str(), &socket_address.sin_addr) !=
      1)
    return "";
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  const int result = bind(descriptor, reinterpret_cast<sockaddr*>(&socket_address), sizeof(socket_address));
  const std::string reason = result == 0 ? "" : std::strerror(errno);
  close(descriptor);
  return reason;
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeCredentials(const TlsServerOptions& tls) {
  CACHECLIP_ASSIGN_OR_RETURN(const KeyPair pair, ReadKeyPair("tls_", tls.certificate_file, tls.key_file));
  CACHECLIP_ASSIGN_OR_RETURN(const std::string client_ca, ReadPem("tls_client_ca", tls.client_ca_file));
  if (pair.certificate.empty()) {
    if (!client_ca.empty()) return InvalidField("tls_client_ca", "needs tls_certificate and tls_key");
    return grpc::InsecureServerCredentials();
  }
  grpc::SslServerCredentialsOptions options(client_ca.empty()
                                                ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                                : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_key_cert_pairs = {{pair.key, pair.certificate}};
  options.pem_root_certs = client_ca;
  return grpc::SslServerCredentials(options);
}

absl::Status CheckExposure(const RpcServerOptions& options) {
  if (IsLoopbackAddress(options.address)) return absl::OkStatus();
  if (!options.insecure_listen) {
    return FieldError(absl::StatusCode::kFailedPrecondition, "address",
                      absl::StrCat(options.address,
                                   " is wider than loopback and nothing authenticates callers: set "
                                   "insecure_listen to allow it"));
  }
  CACHECLIP_LOG(Warning) << "listening on " << options.address
                         << " without authentication: anyone who reaches it may "
                         << "read and delete documents";
  return absl::OkStatus();
}

void Configure(grpc::ServerBuilder& builder, const RpcServerOptions& options) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  builder.SetMaxSendMessageSize(static_cast<int>(options.max_message_bytes));
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT,
                             0);  // else a second server shares the port without a word
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                             static_cast<int>(absl::ToInt64Milliseconds(options.keepalive_time)));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             static_cast<int>(absl::ToInt64Milliseconds(options.keepalive_timeout)));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinClientPingMilliseconds);
  grpc::ResourceQuota quota("cacheclip");
  quota.SetMaxThreads(std::max(options.max_threads, kMinThreads));
  quota.Resize(static_cast<size_t>(options.max_buffer_bytes));
  builder.SetResourceQuota(quota);
  builder.experimental().SetInterceptorCreators(MakeCallObservers(options.metrics));
}

void InitialiseLibraryOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

}  // namespace

bool IsLoopbackAddress(std::string_view address) {
  return address == "localhost" || address == "::1" || address.starts_with("127.");
}

class RpcServer::Impl {
 public:
  std::string address;
  int port = 0;
  std::vector<RpcService> services;  // outlive the server below
  std::unique_ptr<grpc::Server> server;
  std::once_flag shut_down;
};

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(const RpcServerOptions& options,
                                                            std::vector<RpcService> services) {
  CACHECLIP_RETURN_IF_ERROR(CheckExposure(options));
  CACHECLIP_ASSIGN_OR_RETURN(const auto credentials, MakeCredentials(options.tls));
  InitialiseLibraryOnce();
  auto impl = std::make_unique<Impl>();
  impl->address = options.address;
  impl->services = std::move(services);
  grpc::ServerBuilder builder;
  Configure(builder, options);
  const std::string listen_on = JoinHostPort(options.address, options.port);
  builder.AddListeningPort(listen_on, credentials, &impl->port);
  for (RpcService& service : impl->services) builder.RegisterService(service.implementation.get());
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr || impl->port == 0) {
    std::string reason = WhyNotListening(options.address, options.port);
    if (reason.empty()) reason = "not possible";
    return FieldError(absl::StatusCode::kUnavailable, "port",
                      absl::StrCat("cannot listen on ", listen_on, ": ", reason));
  }
  std::unique_ptr<RpcServer> server(new RpcServer(std::move(impl)));
  for (const RpcService& service : server->impl_->services) server->SetServing(service.name, true);
  return server;
}

RpcServer::RpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RpcServer::~RpcServer() { Shutdown(absl::ZeroDuration()); }

int RpcServer::port() const { return impl_->port; }

std::string RpcServer::target() const {
  const bool any = impl_->address == "0.0.0.0" || impl_->address == "::";
  return JoinHostPort(any ? "127.0.0.1" : impl_->address, impl_->port);
}

std::shared_ptr<grpc::Channel> RpcServer::InProcessChannel() {
  return impl_->server->InProcessChannel(grpc::ChannelArguments());
}

void RpcServer::SetServing(std::string_view service_name, bool serving) {
  impl_->server->GetHealthCheckService()->SetServingStatus(std::string(service_name), serving);
}

void RpcServer::Shutdown(absl::Duration grace) {
  std::call_once(impl_->shut_down, [this, grace] {
    impl_->server->GetHealthCheckService()->SetServingStatus(false);
    impl_->server->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(grace));
    impl_->server->Wait();
  });
}

}  // namespace cacheclip
