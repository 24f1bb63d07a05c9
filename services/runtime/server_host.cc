#include "services/runtime/server_host.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/rpc/shutdown_signal.h"
#include "services/runtime/stores.h"

namespace cacheclip {
namespace {

constexpr absl::Duration kReadinessInterval = absl::Seconds(5);

}  // namespace

RpcServerOptions ServerOptions(const Config& config, Metrics* metrics) {
  RpcServerOptions options;
  options.address = config.address;
  options.port = static_cast<int>(config.port);
  options.insecure_listen = config.insecure_listen;
  options.tls = {config.tls_certificate, config.tls_key, config.tls_client_ca};
  options.max_message_bytes = config.max_message_bytes;
  options.max_threads = static_cast<int>(config.max_threads);
  options.metrics = metrics;
  return options;
}

absl::StatusOr<std::unique_ptr<ServerHost>> ServerHost::Start(const Config& config, Metrics* metrics,
                                                              std::vector<RpcService> services) {
  std::unique_ptr<ServerHost> host(new ServerHost());
  host->drain_ = absl::Seconds(config.drain_seconds);
  for (const RpcService& service : services) host->service_names_.push_back(service.name);
  CACHECLIP_ASSIGN_OR_RETURN(host->server_,
                             RpcServer::Start(ServerOptions(config, metrics), std::move(services)));
  if (config.metrics_port >= 0) {
    CACHECLIP_ASSIGN_OR_RETURN(
        host->metrics_,
        MetricsEndpoint::Start(config.address, static_cast<int>(config.metrics_port), metrics));
  }
  return host;
}

void ServerHost::WatchReadiness(ReadinessWatch::Check check) {
  const auto report = [this](bool is_ready) {
    for (const std::string& name : service_names_) server_->SetServing(name, is_ready);
  };
  readiness_ = std::make_unique<ReadinessWatch>(std::move(check), report, kReadinessInterval);
}

void ServerHost::Run(const std::string& name, bool json) {
  const int metrics_port = metrics_ == nullptr ? -1 : metrics_->port();
  std::string line;
  if (json) {
    line = nlohmann::json{{"name", name},
                          {"address", server_->target()},
                          {"port", server_->port()},
                          {"metrics_port", metrics_port}}
               .dump();
  } else {
    line = absl::StrCat(name, " listening on ", server_->target());
    if (metrics_ != nullptr)
      absl::StrAppend(&line, ", metrics on http://127.0.0.1:", metrics_port, "/metrics");
  }
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
  const int number = WaitForShutdownSignal();
  CACHECLIP_LOG(Info) << name << ": signal " << number << ", draining for at most "
                      << absl::FormatDuration(drain_);
  const absl::Time deadline = absl::Now() + drain_;
  readiness_.reset();  // it must not call a server ready that drains
  server_->Shutdown(drain_);
  FlushWriteBack(write_back_, name, std::max(deadline - absl::Now(), absl::ZeroDuration()));
  CACHECLIP_LOG(Info) << name << ": stopped";
}

}  // namespace cacheclip
