// The parts every service is built from, opened from one Config: chunk store and catalogue (stores.h), the
// compute thread, models with their text side, metrics. A main takes what its service needs:
//
//   CACHECLIP_ASSIGN_OR_RETURN(auto runtime, ServiceRuntime::Open(config, CatalogAccess::kReadOnly));
//   CACHECLIP_ASSIGN_OR_RETURN(PrefixContexts* primary, runtime->LoadPrimary());
//   GenerationEngine engine(primary, selector, runtime->generation_options());
//
// Owns everything it hands out; build and load on one thread, then thread-safe. Several processes may open
// the same data folder; only one of them should write the catalogue.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/serial_executor.h"
#include "common/catalog/catalog.h"
#include "common/engine/generation_engine.h"
#include "common/engine/selector_engine.h"
#include "common/ingest/prefix_context.h"
#include "common/model/language_model.h"
#include "common/store/tiered_chunk_store.h"
#include "common/telemetry/metrics.h"
#include "services/runtime/config.h"
#include "services/runtime/model_profile.h"
#include "services/runtime/store_check.h"
#include "services/runtime/stores.h"

namespace cacheclip {

inline constexpr char kVersion[] = "0.1.0";
inline constexpr char kWriterVersion[] = "cacheclip 0.1.0";

// How `config` wants a model loaded. Errors name the field.
absl::StatusOr<ModelOptions> ModelOptionsOf(const Config& config, std::string directory);

class ServiceRuntime {
 public:
  // Makes the data folder if it is missing. Remote tiers are looked at in the background (store_check.h).
  static absl::StatusOr<std::unique_ptr<ServiceRuntime>> Open(const Config& config, CatalogAccess access);
  ~ServiceRuntime();

  // The whole primary model. Errors name "model".
  absl::StatusOr<PrefixContexts*> LoadPrimary();
  // The auxiliary: the primary truncated, or selector_model. Errors name "selector_model" or "model".
  absl::StatusOr<SelectorEngine*> LoadSelector();
  // Another one with the loaded auxiliary: an evaluation compares settings. FAILED_PRECONDITION before
  // LoadSelector().
  absl::StatusOr<std::unique_ptr<SelectorEngine>> MakeSelector(SelectorEngineOptions options) const;
  std::string auxiliary_name() const;  // "SmolLM2-135M-Instruct, 20 layers"; "" before LoadSelector()

  // `reason_against_reuse`: see the option of that name.
  GenerationEngineOptions generation_options(const std::string& reason_against_reuse = "") const;
  SelectionOptions selection_options() const;
  // As the profile says, if there is one for the loaded auxiliary.
  AuxiliaryOptions auxiliary_options() const;

  const Config& config() const { return config_; }
  Catalog& catalog() { return *catalog_; }
  TieredChunkStore& store() { return *store_; }
  Metrics& metrics() { return metrics_; }

 private:
  explicit ServiceRuntime(const Config& config) : config_(config) {}
  absl::StatusOr<PrefixContexts*> Load(const std::string& directory, int num_layers);
  absl::StatusOr<PrefixContexts*> LoadTruncatedPrimary();
  absl::Status UseProfile(const ModelConfig& model);
  std::vector<StoreGauges> StoreState() const;

  const Config config_;
  Metrics metrics_;
  std::unique_ptr<TieredChunkStore> store_;
  std::unique_ptr<Catalog> catalog_;
  SerialExecutor executor_;
  struct LoadedModel {
    Runtime runtime;
    std::unique_ptr<PrefixContexts> contexts;
  };
  std::vector<std::unique_ptr<LoadedModel>> models_;
  // Whose tokens are scored, and by whom; the same for a truncated primary.
  PrefixContexts* scored_ = nullptr;
  PrefixContexts* scorer_ = nullptr;
  std::optional<ModelProfile> profile_;  // once a model is loaded
  std::unique_ptr<SelectorEngine> selector_;
  std::unique_ptr<StoreCheck> store_check_;
};

}  // namespace cacheclip
