// What the tests of the model layer share: small models, ids and prompts made from a seed, and assembled
// sessions. Functions only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/model/chunk_encoder.h"
#include "common/model/inference_session.h"
#include "common/model/language_model.h"
#include "common/model/prompt_tokens.h"
#include "tests/support/tiny_model.h"

namespace cacheclip {

using ChunkPointer = std::shared_ptr<const EncodedChunk>;

inline std::vector<int32_t> TestIds(int count, int seed) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i) ids.push_back((i * i * 31 + i * 7 + seed * 101) % 1000 + 3);
  return ids;
}

inline double MaxDifference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double worst = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    worst = std::max<double>(worst, std::abs(a[i] - b[i]));
  return worst;
}

inline double Sum(std::span<const float> values) {
  double sum = 0;
  for (float value : values) sum += value;
  return sum;
}

// Writes the model into `folder` and loads it. Layers count from the first; 0 = all.
inline std::shared_ptr<const LanguageModel> LoadTinyModel(const std::string& folder,
                                                          TinyModelOptions options = {},
                                                          ComputeDtype dtype = ComputeDtype::kFloat32,
                                                          int num_layers = 0) {
  options.with_tokenizer = false;
  auto model = LanguageModel::Load(
      {.directory = WriteTinyModel(folder, options), .dtype = dtype, .num_layers = num_layers});
  EXPECT_TRUE(model.ok()) << model.status();
  return *model;
}

inline PromptTokens TestPrompt(const std::vector<int>& chunk_lengths) {
  PromptTokens prompt{.prefix_ids = TestIds(9, 1),
                      .chunk_ids = {},
                      .suffix_ids = TestIds(12, 2),
                      .question_begin = 2,
                      .question_end = 8};
  for (size_t i = 0; i < chunk_lengths.size(); ++i)
    prompt.chunk_ids.push_back(TestIds(chunk_lengths[i], 10 + static_cast<int>(i)));
  return prompt;
}

struct EncodedPrompt {
  ChunkPointer prefix;  // null if the prompt has none
  std::vector<ChunkPointer> chunks;
};

inline EncodedPrompt Encode(const std::shared_ptr<const LanguageModel>& model, const PromptTokens& prompt) {
  ChunkEncoder encoder(model, {.prefix_ids = prompt.prefix_ids});
  EncodedPrompt result;
  if (!prompt.prefix_ids.empty()) result.prefix = encoder.EncodePrefix(0).value();
  for (const auto& ids : prompt.chunk_ids) result.chunks.push_back(encoder.Encode(ids, {}, 0).value());
  return result;
}

// A session with prefix and chunks placed: the assembled stale cache.
inline std::unique_ptr<InferenceSession> Assemble(const std::shared_ptr<const LanguageModel>& model,
                                                  const PromptTokens& prompt) {
  const EncodedPrompt encoded = Encode(model, prompt);
  auto session = InferenceSession::Create(model, prompt.size()).value();
  if (encoded.prefix) {
    EXPECT_TRUE(session->Place(*encoded.prefix, 0, 0).ok());
  }
  int32_t slot = prompt.prefix_size();
  for (const ChunkPointer& chunk : encoded.chunks) {
    EXPECT_TRUE(session->Place(*chunk, slot, slot).ok());
    slot += static_cast<int32_t>(chunk->num_tokens());
  }
  return session;
}

inline CancellationToken CancelledToken() {
  CancellationToken token;
  token.Cancel();
  return token;
}

}  // namespace cacheclip
