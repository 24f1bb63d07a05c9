#include "common/rpc/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "common/base/status.h"
#include "common/rpc/tls_files.h"

namespace cacheclip {
namespace {

// A restarted server is found again within this; the default of gRPC is minutes.
constexpr int kInitialReconnectMilliseconds = 100;
constexpr int kMaxReconnectMilliseconds = 2000;

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(const TlsClientOptions& tls) {
  if (!tls.enabled) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  CACHECLIP_ASSIGN_OR_RETURN(options.pem_root_certs, ReadPem("tls_ca", tls.ca_file));
  CACHECLIP_ASSIGN_OR_RETURN(const KeyPair pair,
                             ReadKeyPair("tls_client_", tls.certificate_file, tls.key_file));
  options.pem_cert_chain = pair.certificate;
  options.pem_private_key = pair.key;
  return grpc::SslCredentials(options);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options) {
  CACHECLIP_ASSIGN_OR_RETURN(const auto credentials, MakeCredentials(options.tls));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  arguments.SetMaxSendMessageSize(static_cast<int>(options.max_message_bytes));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kInitialReconnectMilliseconds);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kInitialReconnectMilliseconds);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectMilliseconds);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // http_proxy is for the web, not for services beside us
  if (options.tls.enabled && !options.tls.server_name.empty())
    arguments.SetSslTargetNameOverride(options.tls.server_name);
  return grpc::CreateCustomChannel(options.target, credentials, arguments);
}

}  // namespace cacheclip
