// cacheclip-selector: says which context tokens matter for a question. Reads the catalogue, never writes it.
#include "common/base/status.h"
#include "services/runtime/program_options.h"
#include "services/runtime/readiness_watch.h"
#include "services/runtime/server_host.h"
#include "services/runtime/service_runtime.h"
#include "services/selector/selector_service.h"

namespace cacheclip {
namespace {

absl::Status Run(const Config& config, bool json) {
  CACHECLIP_ASSIGN_OR_RETURN(auto runtime, ServiceRuntime::Open(config, CatalogAccess::kReadOnly));
  CACHECLIP_ASSIGN_OR_RETURN(SelectorEngine * engine, runtime->LoadSelector());
  std::vector<RpcService> services;
  services.push_back(MakeSelectorService(engine, &runtime->metrics()));
  CACHECLIP_ASSIGN_OR_RETURN(auto host, ServerHost::Start(config, &runtime->metrics(), std::move(services)));
  host->WatchReadiness(CatalogAnswers(&runtime->catalog()));
  host->FlushOnExit(runtime->store().write_back());
  host->Run("cacheclip-selector", json);
  return absl::OkStatus();
}

}  // namespace
}  // namespace cacheclip

int main(int argc, char** argv) {
  return cacheclip::RunServerProgram(argc, argv, "Chooses the tokens to recompute (SelectorService).",
                                     cacheclip::Run);
}
