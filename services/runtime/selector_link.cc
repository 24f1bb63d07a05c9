#include "services/runtime/selector_link.h"

#include <utility>

#include "common/base/status.h"
#include "common/rpc/channel.h"

namespace cacheclip {

std::unique_ptr<RpcTokenSelector> MakeSelectorLink(const Config& config) {
  return std::make_unique<RpcTokenSelector>(
      SelectorClientOptions{.timeout = absl::Seconds(config.selector_timeout_seconds)});
}

absl::Status ConnectTo(RpcTokenSelector& selector, const Config& config, const std::string& target) {
  ChannelOptions options{.target = target, .max_message_bytes = config.max_message_bytes};
  options.tls.enabled = !config.selector_tls_ca.empty();
  options.tls.ca_file = config.selector_tls_ca;
  CACHECLIP_ASSIGN_OR_RETURN(auto channel, MakeChannel(options));
  selector.Connect(std::move(channel));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RpcTokenSelector>> ConnectSelector(const Config& config) {
  if (!config.selector || config.selector_target.empty()) return std::unique_ptr<RpcTokenSelector>();
  std::unique_ptr<RpcTokenSelector> selector = MakeSelectorLink(config);
  CACHECLIP_RETURN_IF_ERROR(ConnectTo(*selector, config, config.selector_target));
  return selector;
}

void PublishLoad(const GenerationEngine& engine, Metrics& metrics) {
  metrics.SetLoadSource([&engine] {
    const EngineLoad load = engine.load();
    return LoadGauges{load.num_running, load.num_waiting, load.kv_bytes_reserved, load.max_kv_bytes};
  });
}

}  // namespace cacheclip
