// cacheclip health: asks a server's grpc.health.v1 and answers with the exit code. For HEALTHCHECK, compose
// and exec probes: the images carry no curl, and Kubernetes' own gRPC probe speaks no TLS.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/base/status.h"
#include "common/rpc/channel.h"
#include "common/rpc/health_client.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/verb.h"
#include "services/runtime/program_options.h"

namespace cacheclip {
namespace {

struct Flags {
  ChannelOptions channel{.target = "127.0.0.1:50051"};
  std::string service;
  double timeout_seconds = 2;
  bool json = false;
};

absl::Status Check(const Flags& flags) {
  ChannelOptions options = flags.channel;
  options.tls.enabled = !options.tls.ca_file.empty();
  CACHECLIP_ASSIGN_OR_RETURN(const auto channel, MakeChannel(options));
  return WithContext(CheckHealth(channel, flags.service, absl::Seconds(flags.timeout_seconds)),
                     options.target);
}

int Report(const Flags& flags) {
  const absl::Status status = Check(flags);
  if (flags.json)
    PrintJson({{"server", flags.channel.target},
               {"service", flags.service},
               {"serving", status.ok()},
               {"detail", std::string(status.message())}});
  if (!status.ok()) return ReportError(status);
  if (!flags.json) std::puts("serving");
  return kExitOk;
}

}  // namespace

VerbRun AddHealth(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--server,--address", flags->channel.target, "host:port of the server")
      ->envname("CACHECLIP_SERVER")
      ->capture_default_str();
  app.add_option("--service", flags->service, "one service's readiness; empty: whether the process lives");
  app.add_option("--timeout-seconds", flags->timeout_seconds, "longest wait")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 3600.0));
  TlsClientOptions& tls = flags->channel.tls;
  app.add_option("--tls-ca", tls.ca_file, "PEM file; ask by TLS and trust this authority")
      ->envname("CACHECLIP_TLS_CA");
  app.add_option("--tls-client-certificate", tls.certificate_file, "PEM file, for servers that want one")
      ->envname("CACHECLIP_TLS_CLIENT_CERTIFICATE");
  app.add_option("--tls-client-key", tls.key_file, "PEM file of its key")
      ->envname("CACHECLIP_TLS_CLIENT_KEY");
  app.add_option("--tls-server-name", tls.server_name,
                 "name in the server's certificate, if it is not the address's");
  app.add_flag("--json", flags->json, "stdout is exactly one JSON object");
  return [flags] { return Report(*flags); };
}

}  // namespace cacheclip
