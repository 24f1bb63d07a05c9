// A tiny model whose tokenizer differs from the tiny primary's: the same vocabulary without its merges, so
// that every byte is a token. Loaded once per process; functions only.
#pragma once

#include <fstream>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "tests/support/engine_harness.h"

namespace cacheclip {

inline const LoadedModel& ByteTokenModel() {
  static auto* loaded = new LoadedModel;
  if (loaded->model != nullptr) return *loaded;
  const TempFolder folder;
  WriteTinyModel(folder.path(), {.num_layers = 3, .seed = "auxiliary"});
  const std::string path = folder.path() + "/tokenizer.json";
  nlohmann::json tokenizer = nlohmann::json::parse(std::ifstream(path));
  tokenizer["model"]["merges"] = nlohmann::json::array();
  std::ofstream(path) << tokenizer.dump();
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
  return runtime;
}

}  // namespace cacheclip
