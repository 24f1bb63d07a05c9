#include "common/model/language_model.h"

#include <filesystem>

#include <c10/core/InferenceMode.h>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/model/fingerprint.h"
#include "common/model/kernels/isa.h"
#include "common/model/safetensors.h"
#include "common/model/weights.h"

namespace cacheclip {
namespace {

absl::StatusOr<at::Device> ParseDevice(const std::string& name) {
  try {  // libtorch reports a malformed device by an exception
    return at::Device(name);
  } catch (const std::exception&) {
    return InvalidField("model.device",
                        absl::StrCat("\"", name, "\" is not a device (cpu, cuda, cuda:1, …)"));
  }
}

// KV made on another kind of device or in another dtype differs in its last bits, so both enter the identity.
Digest ModelFingerprint(const Digest& weights, const WeightOptions& options) {
  return Sha256()
      .AddField("cacheclip model 1")
      .AddBytes(weights.data(), weights.size())
      .AddField(options.dtype == at::kFloat ? "fp32" : "bf16")
      .AddField(options.rounding == WeightRounding::kInt8    ? "weights int8"
                : options.rounding == WeightRounding::kInt16 ? "weights int16"
                                                             : "weights unquantised")
      .AddField(at::DeviceTypeName(options.device.type(), /*lower_case=*/true))
      .Finish();
}

ComputeDtype SupportedDtype(ComputeDtype asked, const at::Device& device) {
  if (asked != ComputeDtype::kBfloat16 || !device.is_cpu() || ActiveIsa() == Isa::kAvx512Bf16) return asked;
  CACHECLIP_LOG(Info) << "computing in fp32, which is faster here than bf16";
  return ComputeDtype::kFloat32;
}

// Where fp32 stands in for bf16, only the sums have to be as exact as it is: products of integers are faster.
WeightRounding RoundingFor(const ModelOptions& asked, ComputeDtype dtype, const at::Device& device) {
  if (asked.weights == WeightFormat::kInt8) return WeightRounding::kInt8;
  const bool stands_in = asked.dtype != dtype && device.is_cpu() && ActiveIsa() >= Isa::kAvx2;
  return stands_in ? WeightRounding::kInt16 : WeightRounding::kNone;
}

absl::StatusOr<ModelTensors> LoadOnDevice(const Checkpoint& checkpoint, const LanguageModel& model,
                                          const WeightOptions& options) {
  try {  // libtorch reports a device that this machine or build lacks, or whose memory is full, by an
         // exception
    auto tensors = LoadModelTensors(checkpoint, model.config(), model.num_layers(), options);
    return tensors.ok() ? std::move(tensors) : WithContext(tensors.status(), model.options().directory);
  } catch (const std::exception& error) {
    const std::string_view what = error.what();
    return InvalidField("model.device", absl::StrCat("cannot hold the model on \"", options.device.str(),
                                                     "\": ", AbslView(what.substr(0, what.find('\n')))));
  }
}

}  // namespace

std::string_view ComputeDtypeName(ComputeDtype dtype) {
  return dtype == ComputeDtype::kFloat32 ? "fp32" : "bf16";
}

absl::StatusOr<ComputeDtype> ParseComputeDtype(std::string_view name) {
  if (name == "fp32") return ComputeDtype::kFloat32;
  if (name == "bf16") return ComputeDtype::kBfloat16;
  return InvalidField("model.dtype",
                      absl::StrCat("\"", AbslView(name), "\" is not a compute dtype (bf16, fp32)"));
}

absl::StatusOr<WeightFormat> ParseWeightFormat(std::string_view name) {
  if (name == "stored") return WeightFormat::kAsStored;
  if (name == "int8") return WeightFormat::kInt8;
  return InvalidField("model.weights",
                      absl::StrCat("\"", AbslView(name), "\" is not a weight format (stored, int8)"));
}

LanguageModel::~LanguageModel() = default;

absl::StatusOr<std::shared_ptr<const LanguageModel>> LanguageModel::Load(const ModelOptions& options) {
  const c10::InferenceMode inference;
  std::shared_ptr<LanguageModel> model(new LanguageModel);
  model->options_ = options;
  CACHECLIP_ASSIGN_OR_RETURN(model->config_, LoadModelConfig(options.directory));
  if (options.num_layers < 0 || options.num_layers > model->config_.num_layers)
    return InvalidField(
        "model.num_layers",
        absl::StrCat(options.num_layers, " is not between 0 and the model's ", model->config_.num_layers));
  model->num_layers_ =
      static_cast<int>(options.num_layers > 0 ? options.num_layers : model->config_.num_layers);
  CACHECLIP_ASSIGN_OR_RETURN(const at::Device device, ParseDevice(options.device));
  model->options_.dtype = SupportedDtype(options.dtype, device);
  model->name_ = std::filesystem::path(options.directory).lexically_normal().filename().string();
  CACHECLIP_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(options.directory));
  CACHECLIP_ASSIGN_OR_RETURN(const Digest weights,
                             WeightsFingerprint(options.directory, checkpoint, options.cache_directory));
  const WeightOptions weight_options{
      .dtype = model->options_.dtype == ComputeDtype::kFloat32 ? at::kFloat : at::kBFloat16,
      .device = device,
      .rounding = RoundingFor(options, model->options_.dtype, device)};
  model->fingerprint_ = ModelFingerprint(weights, weight_options);
  CACHECLIP_ASSIGN_OR_RETURN(ModelTensors tensors, LoadOnDevice(checkpoint, *model, weight_options));
  model->tensors_ = std::make_unique<const ModelTensors>(std::move(tensors));
  return model;
}

int64_t LanguageModel::weight_bytes() const {
  int64_t bytes = tensors_->head.num_bytes();
  for (const LayerTensors& layer : tensors_->layers)
    for (const LinearWeights* weights : {&layer.qkv, &layer.output, &layer.gate_up, &layer.down})
      bytes += weights->num_bytes();
  return bytes;
}

KvShape LanguageModel::kv_shape() const {
  return {.num_layers = num_layers_,
          .num_kv_heads = static_cast<int32_t>(config_.num_kv_heads),
          .head_dim = static_cast<int32_t>(config_.head_dim),
          .dtype = options_.dtype == ComputeDtype::kFloat32 ? KvDtype::kFp32 : KvDtype::kBf16};
}

}  // namespace cacheclip
