// A tiny model whose tokenizer differs from the tiny primary's: the same vocabulary without its merges, so
// that every byte is a token. Loaded once per process; functions only.
#pragma once

#include <memory>
#include <string>

#include "tests/support/engine_harness.h"
#include "tests/support/tiny_model.h"

namespace cacheclip {

inline const LoadedModel& ByteTokenModel() {
  static auto* loaded = new LoadedModel;
  if (loaded->model != nullptr) return *loaded;
  const TempFolder folder;
  WriteTinyModel(folder.path(), {.num_layers = 3, .seed = "auxiliary"});
  MakeByteTokenizer(folder.path());
  loaded->model = LanguageModel::Load({.directory = folder.path(), .dtype = ComputeDtype::kFloat32}).value();
  loaded->tokenizer = Tokenizer::Load(folder.path()).value();
  loaded->layout =
      std::make_shared<PromptLayout>(loaded->tokenizer, ChatTemplate::Load(folder.path()).value());
  return *loaded;
}

// The runtime of an auxiliary model beside a server: its own model and text side, the server's store and
// executor.
inline Runtime AuxiliaryRuntime(const EngineHarness& server, const LoadedModel& loaded) {
  Runtime runtime = server.runtime;
  runtime.model = loaded.model;
  runtime.tokenizer = loaded.tokenizer;
  runtime.layout = loaded.layout;
  runtime.sentences = std::make_shared<SentenceBreaks>(loaded.tokenizer);
  return runtime;
}

}  // namespace cacheclip
