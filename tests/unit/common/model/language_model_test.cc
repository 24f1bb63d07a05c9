#include "common/model/language_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "common/base/status.h"
#include "common/model/inference_session.h"
#include "common/model/kernels/isa.h"
#include "common/model/weights.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/unit/common/model/safetensors_file.h"

namespace cacheclip {
namespace {

using testing::HasSubstr;

class LanguageModelTest : public testing::Test {
 protected:
  absl::StatusOr<std::shared_ptr<const LanguageModel>> Load(ModelOptions options) const {
    options.directory = directory_;
    return LanguageModel::Load(options);
  }
  TempFolder folder_;
  std::string directory_ =
      WriteTinyModel(folder_.path() + "/tiny", {.vocab_size = 64, .num_layers = 4, .with_tokenizer = false});
};

TEST_F(LanguageModelTest, KnowsItsNameAndShape) {
  const auto model = Load({.dtype = ComputeDtype::kFloat32}).value();
  EXPECT_EQ(model->name(), "tiny");
  EXPECT_EQ(model->num_layers(), 4);
  EXPECT_EQ(model->kv_shape(), (KvShape{4, 2, 64, KvDtype::kFp32}));
}

TEST_F(LanguageModelTest, TruncatedModelKeepsIdentityAndLosesLayers) {
  const auto full = Load({.dtype = ComputeDtype::kFloat32}).value();
  const auto truncated = Load({.dtype = ComputeDtype::kFloat32, .num_layers = 2}).value();
  EXPECT_EQ(truncated->num_layers(), 2);
  EXPECT_EQ(truncated->tensors().layers.size(), 2u);
  EXPECT_EQ(truncated->config().num_layers, 4);
  EXPECT_EQ(truncated->kv_shape().num_layers, 2);
  EXPECT_EQ(truncated->fingerprint(), full->fingerprint());
}

TEST_F(LanguageModelTest, LayerCountOutsideTheModelIsRefused) {
  for (int layers : {-1, 5})
    EXPECT_EQ(FieldOf(Load({.num_layers = layers}).status()), "model.num_layers") << layers;
}

TEST_F(LanguageModelTest, DtypeEntersTheFingerprint) {
  if (ActiveIsa() != Isa::kAvx512Bf16) GTEST_SKIP() << "fp32 stands in for bf16 here";
  const auto narrow = Load({.dtype = ComputeDtype::kBfloat16}).value();
  EXPECT_NE(narrow->fingerprint(), Load({.dtype = ComputeDtype::kFloat32}).value()->fingerprint());
  EXPECT_EQ(narrow->kv_shape().dtype, KvDtype::kBf16);
}

TEST_F(LanguageModelTest, Int8WeightsAreAnotherModelThatAnswersNearlyTheSame) {
  const auto stored = Load({.dtype = ComputeDtype::kFloat32}).value();
  const auto int8 = Load({.dtype = ComputeDtype::kFloat32, .weights = WeightFormat::kInt8}).value();
  EXPECT_NE(int8->fingerprint(), stored->fingerprint());
  EXPECT_EQ(int8->kv_shape(), stored->kv_shape());
  if (ActiveIsa() >= Isa::kAvx2) EXPECT_LT(int8->weight_bytes(), stored->weight_bytes() / 3);  // of fp32
  const auto logits = [](const std::shared_ptr<const LanguageModel>& model) {
    PromptTokens prompt;
    prompt.suffix_ids = {3, 1, 4, 1, 5, 9, 2, 6};
    const auto session = InferenceSession::Create(model, prompt.size()).value();
    return session->Run(FullRows(prompt)).value();
  };
  const Logits expected = logits(stored), ours = logits(int8);
  float largest = 0, error = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::fabs(expected[i]));
    error = std::max(error, std::fabs(ours[i] - expected[i]));
  }
  EXPECT_GT(error, 0);
  EXPECT_LT(error, largest / 12);
}

TEST_F(LanguageModelTest, OtherWeightsHaveAnotherFingerprint) {
  const auto one = Load({.dtype = ComputeDtype::kFloat32}).value();
  WriteTinyModel(directory_, {.vocab_size = 64, .num_layers = 4, .seed = "other", .with_tokenizer = false});
  EXPECT_NE(Load({.dtype = ComputeDtype::kFloat32}).value()->fingerprint(), one->fingerprint());
}

TEST_F(LanguageModelTest, UnknownDeviceNameIsRefused) {
  for (const char* device : {"", "gpu", "cpu:x", "cuda:one", "tpu9"})
    EXPECT_EQ(FieldOf(Load({.device = device}).status()), "model.device") << device;
}

TEST_F(LanguageModelTest, DeviceThatThisMachineLacksIsAnErrorNotACrash) {
  const absl::Status status = Load({.device = "xla"}).status();
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(FieldOf(status), "model.device") << status;
}

TEST_F(LanguageModelTest, MissingFolderIsNotFound) {
  EXPECT_EQ(LanguageModel::Load({.directory = folder_.path() + "/none"}).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(LanguageModelTest, MissingTensorIsNotFoundAndNamesTensorAndFolder) {
  EditConfig(directory_, {{"num_hidden_layers", 5}});
  const absl::Status status = Load({}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(HasSubstr("model.layers.4."), HasSubstr(directory_)));
}

TEST_F(LanguageModelTest, TruncatedFileIsDataLoss) {
  const std::string file = directory_ + "/model.safetensors";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  EXPECT_EQ(Load({}).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(LanguageModelTest, UnsupportedModelIsRefusedBeforeItsWeightsAreRead) {
  EditConfig(directory_, {{"rope_scaling", {{"rope_type", "yarn"}}}});
  std::filesystem::remove(directory_ + "/model.safetensors");
  EXPECT_EQ(Load({}).status().code(), absl::StatusCode::kUnimplemented);
}

TEST(ComputeDtype, NamesRoundTripAndOthersAreRefused) {
  for (ComputeDtype dtype : {ComputeDtype::kFloat32, ComputeDtype::kBfloat16})
    EXPECT_EQ(ParseComputeDtype(ComputeDtypeName(dtype)).value(), dtype);
  EXPECT_EQ(FieldOf(ParseComputeDtype("int4").status()), "model.dtype");
}

TEST(WeightFormat, IsStoredOrInt8) {
  EXPECT_EQ(ParseWeightFormat("stored").value(), WeightFormat::kAsStored);
  EXPECT_EQ(ParseWeightFormat("int8").value(), WeightFormat::kInt8);
  EXPECT_EQ(FieldOf(ParseWeightFormat("int4").status()), "model.weights");
}

}  // namespace
}  // namespace cacheclip
