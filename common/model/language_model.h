// A loaded decoder-only language model: configuration, weights and identity. Immutable after Load and shared
// by all requests; the per-request state lives in InferenceSession. This header is free of libtorch so that
// upper layers are.
//
//   CACHECLIP_ASSIGN_OR_RETURN(auto model, LanguageModel::Load({.directory =
//   "models/SmolLM2-135M-Instruct"})); CACHECLIP_ASSIGN_OR_RETURN(auto session,
//   InferenceSession::Create(model, 4096));
//
// Thread-safe. Arithmetic runs on the calling thread's OpenMP team; run it on one thread per process
// (SerialExecutor).
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/hash.h"
#include "common/kv/kv_shape.h"
#include "common/model/config.h"

namespace cacheclip {

enum class ComputeDtype { kFloat32, kBfloat16 };
std::string_view ComputeDtypeName(ComputeDtype dtype);  // "fp32", "bf16"
absl::StatusOr<ComputeDtype> ParseComputeDtype(std::string_view name);

enum class WeightFormat { kAsStored, kInt8 };  // int8: rounded at load, with a scale for each output
absl::StatusOr<WeightFormat> ParseWeightFormat(std::string_view name);  // "stored", "int8"

struct ModelOptions {
  std::string directory;                         // Hugging Face folder
  ComputeDtype dtype = ComputeDtype::kBfloat16;  // arithmetic
  WeightFormat weights = WeightFormat::kAsStored;
  std::string device = "cpu";   // "cpu", "cuda", "cuda:1": any libtorch device
  int num_layers = 0;           // keep only the first layers (an auxiliary model); 0 = all
  std::string cache_directory;  // fingerprint cache; "" = none
};

struct ModelTensors;  // weights as tensors; defined in weights.h, for common/model only

class LanguageModel {
 public:
  // Errors: NOT_FOUND (folder or tensor), UNIMPLEMENTED (named feature), DATA_LOSS (malformed weights).
  static absl::StatusOr<std::shared_ptr<const LanguageModel>> Load(const ModelOptions& options);
  ~LanguageModel();

  const ModelConfig& config() const { return config_; }
  const ModelOptions& options() const { return options_; }
  int num_layers() const {
    return num_layers_;
  }  // layers that are loaded: config().num_layers unless truncated
  const std::string& name() const { return name_; }

  // Weights' content, compute dtype and device kind: what makes two KV caches interchangeable. Truncation
  // does not enter: the first layers of a truncated model produce the full model's KV.
  const Digest& fingerprint() const { return fingerprint_; }

  // KV this model makes of a chunk: bf16, or fp32 when computing in fp32; the layers that are loaded. (The
  // shape is part of the key, so KV of a truncated model never answers for the full one.)
  KvShape kv_shape() const;

  int64_t weight_bytes()
      const;  // of the matrices that a decode step reads; an untied embedding is not among them

  const ModelTensors& tensors() const { return *tensors_; }  // for common/model only

 private:
  LanguageModel() = default;
  ModelOptions options_;
  ModelConfig config_;
  int num_layers_ = 0;
  std::string name_;
  Digest fingerprint_{};
  std::unique_ptr<const ModelTensors> tensors_;
};

}  // namespace cacheclip
