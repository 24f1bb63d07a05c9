// cacheclip-generation: answers questions over stored chunks. Reads the catalogue, never writes it.
#include "common/base/status.h"
#include "common/engine/generation_engine.h"
#include "services/evaluation/quality_probe.h"
#include "services/generation/generation_service.h"
#include "services/runtime/program_options.h"
#include "services/runtime/readiness_watch.h"
#include "services/runtime/selector_link.h"
#include "services/runtime/server_host.h"
#include "services/runtime/service_runtime.h"

namespace cacheclip {
namespace {

absl::Status Run(const Config& config, bool json) {
  CACHECLIP_ASSIGN_OR_RETURN(const auto against_reuse,
                             ReasonAgainstReuse(config, !config.selector_target.empty()));
  CACHECLIP_ASSIGN_OR_RETURN(auto runtime, ServiceRuntime::Open(config, CatalogAccess::kReadOnly));
  CACHECLIP_ASSIGN_OR_RETURN(PrefixContexts * primary, runtime->LoadPrimary());
  CACHECLIP_ASSIGN_OR_RETURN(auto selector, ConnectSelector(config));
  GenerationEngine engine(primary, selector.get(), runtime->generation_options(against_reuse));
  engine.WarmUp();
  PublishLoad(engine, runtime->metrics());
  std::vector<RpcService> services;
  services.push_back(MakeGenerationService(
      {&engine, &primary->runtime(), &runtime->metrics(), selector != nullptr, kVersion}));
  CACHECLIP_ASSIGN_OR_RETURN(auto host, ServerHost::Start(config, &runtime->metrics(), std::move(services)));
  host->WatchReadiness(CatalogAnswers(&runtime->catalog()));
  host->FlushOnExit(runtime->store().write_back());
  host->Run("cacheclip-generation", json);
  return absl::OkStatus();
}

}  // namespace
}  // namespace cacheclip

int main(int argc, char** argv) {
  return cacheclip::RunServerProgram(argc, argv, "Answers questions over stored chunks (GenerationService).",
                                     cacheclip::Run);
}
