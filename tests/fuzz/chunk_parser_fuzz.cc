#include "tests/fuzz/chunk_parser_fuzz.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "common/base/hash.h"
#include "common/base/logging.h"
#include "common/kv/chunk_format.h"

namespace cacheclip {
namespace {

using Bytes = std::vector<std::byte>;

// Whatever parses must be canonical and must be readable everywhere.
void CheckParsed(const std::shared_ptr<Bytes>& image, PayloadCheck check) {
  const auto chunk = ParseChunk(*image, image, check);
  if (!chunk.ok()) return;
  const auto plan = PlanChunk((*chunk)->header());
  CACHECLIP_CHECK(plan.ok() && plan->total_bytes == (*chunk)->total_bytes());
  Bytes header((*chunk)->header_bytes().size());
  ChunkPreamble preamble = *plan;
  preamble.slices = (*chunk)->slices();
  WriteChunkHeader(preamble, header);
  CACHECLIP_CHECK(std::ranges::equal(header, (*chunk)->header_bytes()));
  uint64_t sum = 0;
  for (int32_t layer = 0; layer < (*chunk)->shape().num_layers; ++layer)
    for (const auto part :
         {(*chunk)->Keys(layer), (*chunk)->Values(layer), std::as_bytes((*chunk)->KeyScales(layer)),
          std::as_bytes((*chunk)->ValueScales(layer))})
      sum += part.empty() ? 0 : Checksum64(part.data(), part.size());
  volatile uint64_t keep = sum;
  (void)keep;
}

// Makes the header's checksum hold, so that the checks behind it are reached.
void RepairHeaderChecksum(Bytes& image) {
  const auto header_bytes = ParseChunkHeaderBytes(image);
  if (!header_bytes.ok() || *header_bytes > static_cast<int64_t>(image.size())) return;
  const size_t checksum_offset = *header_bytes - sizeof(uint64_t);
  const uint64_t checksum = Checksum64(image.data(), checksum_offset);
  std::memcpy(image.data() + checksum_offset, &checksum, sizeof checksum);
}

}  // namespace
}  // namespace cacheclip

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t num_bytes) {
  using namespace cacheclip;
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  const auto image = std::make_shared<Bytes>(bytes, bytes + num_bytes);
  CheckParsed(image, PayloadCheck::kVerify);
  RepairHeaderChecksum(*image);
  CheckParsed(image, PayloadCheck::kTrusted);
  return 0;
}
