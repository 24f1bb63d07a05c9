#include "services/cacheclip/client_options.h"

#include "services/runtime/config.h"
#include "services/runtime/paths.h"

namespace cacheclip {

void AddClientOptions(CLI::App& app, ClientOptions* options) {
  app.add_option("--server", options->server, "host:port of the server")
      ->envname("CACHECLIP_SERVER")
      ->capture_default_str();
  app.add_option("--tls-ca", options->tls_ca, "PEM file; reach the server by TLS and trust this authority")
      ->envname("CACHECLIP_TLS_CA");
  app.add_option("--tls-client-certificate", options->tls_certificate, "PEM file, for servers that want one")
      ->envname("CACHECLIP_TLS_CLIENT_CERTIFICATE");
  app.add_option("--tls-client-key", options->tls_key, "PEM file of its key")
      ->envname("CACHECLIP_TLS_CLIENT_KEY");
  app.add_option("--namespace", options->namespace_name, "namespace of the documents")
      ->envname("CACHECLIP_NAMESPACE")
      ->capture_default_str();
  app.add_option("--data-dir", options->data_dir, "folder of the local index")->envname("CACHECLIP_DATA_DIR");
  app.add_flag("--json", options->json, "stdout is exactly one JSON object");
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const ClientOptions& options) {
  ChannelOptions channel{.target = options.server};
  channel.tls.enabled = !options.tls_ca.empty();
  channel.tls.ca_file = options.tls_ca;
  channel.tls.certificate_file = options.tls_certificate;
  channel.tls.key_file = options.tls_key;
  return MakeChannel(channel);
}

std::string LocalIndexFileOf(const ClientOptions& options) {
  Config config;
  config.data_dir = options.data_dir;
  return LocalIndexFile(DataFolder(config));
}

}  // namespace cacheclip
