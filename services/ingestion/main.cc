// cacheclip-ingestion: documents in, chunks stored. The only process that writes the catalogue.
#include "common/base/status.h"
#include "services/ingestion/ingestion_backend.h"
#include "services/ingestion/ingestion_service.h"
#include "services/runtime/program_options.h"
#include "services/runtime/readiness_watch.h"
#include "services/runtime/selector_link.h"
#include "services/runtime/server_host.h"
#include "services/runtime/service_runtime.h"

namespace cacheclip {
namespace {

absl::Status Run(const Config& config, bool json) {
  CACHECLIP_ASSIGN_OR_RETURN(auto runtime, ServiceRuntime::Open(config, CatalogAccess::kReadWrite));
  CACHECLIP_ASSIGN_OR_RETURN(PrefixContexts * primary, runtime->LoadPrimary());
  CACHECLIP_ASSIGN_OR_RETURN(auto selector, ConnectSelector(config));
  IngestionBackend backend(primary, selector.get());
  std::vector<RpcService> services;
  services.push_back(MakeIngestionService(&backend, &runtime->metrics()));
  CACHECLIP_ASSIGN_OR_RETURN(auto host, ServerHost::Start(config, &runtime->metrics(), std::move(services)));
  backend.KeepSwept();
  host->WatchReadiness(CatalogAnswers(&runtime->catalog()));
  host->FlushOnExit(runtime->store().write_back());
  host->Run("cacheclip-ingestion", json);
  return absl::OkStatus();
}

}  // namespace
}  // namespace cacheclip

int main(int argc, char** argv) {
  return cacheclip::RunServerProgram(argc, argv, "Takes documents, stores chunks (IngestionService).",
                                     cacheclip::Run);
}
