// A whole server without transport for tests of ingestion and generation: a tiny random model in fp32, the
// real tokenizer, catalogue, store and executor, one namespace "docs" with a registered default prefix.
// Faults are switched on in the catalogue and the store. Models are loaded once per process. One test at a
// time.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/ingest/ingest_pipeline.h"
#include "common/ingest/prefix_context.h"
#include "common/model/language_model.h"
#include "tests/support/faulty_parts.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace cacheclip {

struct LoadedModel {
  std::shared_ptr<const LanguageModel> model;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const PromptLayout> layout;
};

// The tiny model of this seed, cut to its first `num_layers` layers (0 = all).
inline const LoadedModel& TinyModel(const std::string& seed = "", int num_layers = 0) {
  static auto* models = new std::map<std::pair<std::string, int>, LoadedModel>;
  LoadedModel& loaded = (*models)[{seed, num_layers}];
  if (loaded.model != nullptr) return loaded;
  const TempFolder folder;
  WriteTinyModel(folder.path(), {.seed = seed});
  loaded.model = LanguageModel::Load(
                     {.directory = folder.path(), .dtype = ComputeDtype::kFloat32, .num_layers = num_layers})
                     .value();
  loaded.tokenizer = Tokenizer::Load(folder.path()).value();
  loaded.layout = std::make_shared<PromptLayout>(loaded.tokenizer, ChatTemplate::Load(folder.path()).value());
  return loaded;
}

inline constexpr char kArticle[] =
    "The lighthouse of Arken was built in 1871 by Maren Holt. It stands on a rock of red granite, forty "
    "metres above "
    "the sea.\n\nIts lamp burns with oil of rapeseed. The keeper climbs two hundred and twelve steps every "
    "evening, "
    "and writes the hour in a blue book.\n\nIn the winter of 1893 the tower lost its glass. Two fishermen "
    "carried new "
    "panes over the ice from Sund, and the lamp was lit again after nine days.\n\nToday the keeper is Ida "
    "Lunde. She "
    "keeps bees behind the house and sells the honey to visitors for twelve crowns a jar.";

class EngineHarness {
 public:
  explicit EngineHarness(const LoadedModel& loaded = TinyModel(), Clock* clock = RealClock(),
                         std::optional<KvDtype> kv_dtype = {})
      : catalog(clock), store({.clock = clock}) {
    runtime = {.model = loaded.model,
               .tokenizer = loaded.tokenizer,
               .layout = loaded.layout,
               .sentences = std::make_shared<SentenceBreaks>(loaded.tokenizer),
               .catalog = &catalog,
               .store = &store,
               .executor = &executor,
               .clock = clock,
               .default_salt = "salt",
               .writer_version = "cacheclip test",
               .kv_dtype = kv_dtype};
    PrefixSpec spec{.system_prompt = "Answer from the texts.", .instruction = "Texts:\n"};
    spec.template_time = absl::FromUnixSeconds(1'700'000'000);
    prefix = contexts.Register("docs", spec, /*make_default=*/true).value();
  }

  DocumentResult Ingest(const std::string& id = "arken", const std::string& text = kArticle) {
    return pipeline.Ingest({.document_id = id, .title = "Arken", .text = text}, ingest_options,
                           CancellationToken());
  }
  // Ids of the ingested article's chunks.
  std::vector<std::string> IngestChunkIds(const std::string& id = "arken",
                                          const std::string& text = kArticle) {
    const DocumentResult result = Ingest(id, text);
    EXPECT_TRUE(result.status.ok()) << result.status;
    std::vector<std::string> ids;
    for (const ChunkRecord& chunk : result.chunks) ids.push_back(chunk.chunk_id);
    return ids;
  }

  CuttableCatalog catalog;
  FaultyStore store;
  SerialExecutor executor;
  Runtime runtime;
  PrefixContexts contexts{runtime};
  IngestPipeline pipeline{&contexts};
  IngestOptions ingest_options{.namespace_name = "docs",
                               .chunker = {.target_tokens = 40, .max_tokens = 80, .min_tokens = 8}};
  Prefix prefix;
};

}  // namespace cacheclip
