// cacheclip serve: ingestion, selector and generation in one process, on one port and the embedded stores.
// Generation asks the selector over gRPC on that same port, so that one process and three behave alike.
#include <memory>
#include <vector>

#include "common/base/status.h"
#include "common/engine/generation_engine.h"
#include "common/rpc/shutdown_signal.h"
#include "services/cacheclip/verb.h"
#include "services/evaluation/quality_probe.h"
#include "services/generation/generation_service.h"
#include "services/ingestion/ingestion_backend.h"
#include "services/ingestion/ingestion_service.h"
#include "services/runtime/program_options.h"
#include "services/runtime/readiness_watch.h"
#include "services/runtime/selector_link.h"
#include "services/runtime/server_host.h"
#include "services/runtime/service_runtime.h"
#include "services/selector/selector_service.h"

namespace cacheclip {
namespace {

absl::Status Serve(const Config& config, bool json) {
  CACHECLIP_ASSIGN_OR_RETURN(const auto against_reuse, ReasonAgainstReuse(config, config.selector));
  CACHECLIP_ASSIGN_OR_RETURN(auto runtime, ServiceRuntime::Open(config, CatalogAccess::kReadWrite));
  CACHECLIP_ASSIGN_OR_RETURN(PrefixContexts * primary, runtime->LoadPrimary());
  Metrics& metrics = runtime->metrics();
  const bool runs_selector = config.selector && config.selector_target.empty();
  const std::unique_ptr<RpcTokenSelector> selector = config.selector ? MakeSelectorLink(config) : nullptr;
  GenerationEngine engine(primary, selector.get(), runtime->generation_options(against_reuse));
  engine.WarmUp();
  PublishLoad(engine, metrics);
  IngestionBackend ingestion(primary, selector.get());
  std::vector<RpcService> services;
  services.push_back(MakeIngestionService(&ingestion, &metrics));
  services.push_back(
      MakeGenerationService({&engine, &primary->runtime(), &metrics, config.selector, kVersion}));
  if (runs_selector) {
    CACHECLIP_ASSIGN_OR_RETURN(SelectorEngine * selector_engine, runtime->LoadSelector());
    services.push_back(MakeSelectorService(selector_engine, &metrics));
  }
  CACHECLIP_ASSIGN_OR_RETURN(auto host, ServerHost::Start(config, &metrics, std::move(services)));
  if (runs_selector && !config.tls_certificate.empty()) {
    selector->Connect(host->server().InProcessChannel());  // has no certificate to show itself
  } else if (selector != nullptr) {
    const std::string target = runs_selector ? host->server().target() : config.selector_target;
    CACHECLIP_RETURN_IF_ERROR(ConnectTo(*selector, config, target));
  }
  ingestion.KeepSwept();
  host->WatchReadiness(CatalogAnswers(&runtime->catalog()));
  host->FlushOnExit(runtime->store().write_back());
  host->Run("cacheclip", json);
  return absl::OkStatus();
}

}  // namespace

VerbRun AddServe(CLI::App& app) {
  auto options = std::make_shared<ProgramOptions>();
  AddSettings(app, options.get());
  app.add_flag("--json", options->json, "announce readiness as one JSON object");
  return [options] {
    BlockShutdownSignals();
    return RunConfigured(*options, Serve);
  };
}

}  // namespace cacheclip
