#include "common/telemetry/metrics_endpoint.h"

#include <exception>
#include <functional>
#include <utility>
#include <vector>

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/telemetry/metrics_impl.h"

namespace cacheclip {

namespace {

class MetricsCollectable : public prometheus::Collectable {
 public:
  explicit MetricsCollectable(std::function<std::vector<prometheus::MetricFamily>()> collect)
      : collect_(std::move(collect)) {}
  std::vector<prometheus::MetricFamily> Collect() const override { return collect_(); }

 private:
  std::function<std::vector<prometheus::MetricFamily>()> collect_;
};

}  // namespace

class MetricsEndpoint::Impl {
 public:
  std::shared_ptr<prometheus::Collectable> collectable;  // the exposer keeps a weak pointer only
  std::unique_ptr<prometheus::Exposer> exposer;
};

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Start(const std::string& address, int port,
                                                                        Metrics* metrics) {
  const std::string bind = absl::StrCat(address, ":", port);
  auto impl = std::make_unique<Impl>();
  impl->collectable =
      std::make_shared<MetricsCollectable>([source = metrics->impl_.get()] { return source->Collect(); });
  try {
    impl->exposer = std::make_unique<prometheus::Exposer>(bind, 1);
  } catch (const std::exception& error) {  // the library knows no other way to say it
    return absl::UnavailableError(absl::StrCat("metrics.port: cannot listen on ", bind, ": ", error.what()));
  }
  impl->exposer->RegisterCollectable(impl->collectable);
  const int bound_port = impl->exposer->GetListeningPorts().at(0);
  return std::unique_ptr<MetricsEndpoint>(new MetricsEndpoint(std::move(impl), bound_port));
}

MetricsEndpoint::MetricsEndpoint(std::unique_ptr<Impl> impl, int port)
    : impl_(std::move(impl)), port_(port) {}
MetricsEndpoint::~MetricsEndpoint() = default;

}  // namespace cacheclip
