// Tiny models whose tokenizers differ from the tiny primary's: the same vocabulary without its merges, so
// that every byte is a token, and tokenizers of other kinds. Each is loaded once per process; functions only.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "tests/support/engine_harness.h"
#include "tests/support/other_tokenizers.h"
#include "tests/support/tiny_model.h"

namespace cacheclip {

// The model with the tokenizer that `make` writes into its folder.
inline const LoadedModel& ModelWithTokenizer(void (*make)(const std::string& directory)) {
  static auto* models = new std::map<void (*)(const std::string&), LoadedModel>;
  LoadedModel& loaded = (*models)[make];
  if (loaded.model != nullptr) return loaded;
  const TempFolder folder;
  WriteTinyModel(folder.path(), {.num_layers = 3, .seed = "auxiliary"});
  make(folder.path());
  loaded.model = LanguageModel::Load({.directory = folder.path(), .dtype = ComputeDtype::kFloat32}).value();
  loaded.tokenizer = Tokenizer::Load(folder.path()).value();
  loaded.layout = std::make_shared<PromptLayout>(loaded.tokenizer, ChatTemplate::Load(folder.path()).value());
  return loaded;
}

inline const LoadedModel& ByteTokenModel() { return ModelWithTokenizer(MakeByteTokenizer); }
inline const LoadedModel& SentencePieceModel() { return ModelWithTokenizer(MakeSentencePieceTokenizer); }
inline const LoadedModel& WordPieceModel() { return ModelWithTokenizer(MakeWordPieceTokenizer); }

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
