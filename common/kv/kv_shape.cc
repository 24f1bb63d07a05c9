#include "common/kv/kv_shape.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

absl::Status CheckDimension(std::string_view field, int32_t value, int32_t limit) {
  if (value >= 1 && value <= limit) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("must be between 1 and ", limit, ", got ", value));
}

}  // namespace

std::string_view KvDtypeName(KvDtype dtype) {
  switch (dtype) {
    case KvDtype::kBf16:
      return "bf16";
    case KvDtype::kFp32:
      return "fp32";
    case KvDtype::kInt8:
      return "int8";
  }
  return "unknown";
}

int64_t KvDtypeBytes(KvDtype dtype) {
  switch (dtype) {
    case KvDtype::kBf16:
      return 2;
    case KvDtype::kFp32:
      return 4;
    case KvDtype::kInt8:
      return 1;
  }
  return 0;
}

absl::StatusOr<KvDtype> ParseKvDtype(std::string_view name) {
  for (const KvDtype dtype : {KvDtype::kBf16, KvDtype::kFp32, KvDtype::kInt8})
    if (KvDtypeName(dtype) == name) return dtype;
  return InvalidField("kv_dtype", absl::StrCat("must be bf16, fp32 or int8, got \"", AbslView(name), "\""));
}

std::string KvShape::ToString() const {
  return absl::StrCat(num_layers, "x", num_kv_heads, "x", head_dim, " ", AbslView(KvDtypeName(dtype)));
}

absl::Status ValidateKvShape(const KvShape& shape) {
  CACHECLIP_RETURN_IF_ERROR(CheckDimension("shape.num_layers", shape.num_layers, kMaxKvLayers));
  CACHECLIP_RETURN_IF_ERROR(CheckDimension("shape.num_kv_heads", shape.num_kv_heads, kMaxKvHeads));
  CACHECLIP_RETURN_IF_ERROR(CheckDimension("shape.head_dim", shape.head_dim, kMaxKvHeadDim));
  if (KvDtypeBytes(shape.dtype) == 0)
    return InvalidField("shape.dtype", absl::StrCat("unknown dtype ", static_cast<int>(shape.dtype)));
  return absl::OkStatus();
}

}  // namespace cacheclip
