// Digests. SHA-256 identifies (keys, fingerprints); XXH3-64 only detects accidental damage (checksums).
// Thread-safe: a Sha256 object belongs to one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace cacheclip {

using Digest = std::array<uint8_t, 32>;

// Incremental SHA-256 with unambiguous framing: AddField(a), AddField(b) never collides with AddField(a+b).
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256& AddBytes(const void* data, size_t num_bytes);  // raw, unframed
  Sha256& AddField(std::string_view bytes);              // 64-bit length, then the bytes
  Sha256& AddInteger(uint64_t value);                    // 8 bytes, little endian
  Digest Finish();                                       // once

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string ToHex(std::span<const uint8_t> bytes);
// False unless `hex` is exactly 2 * out.size() hexadecimal digits.
bool FromHex(std::string_view hex, std::span<uint8_t> out);

uint64_t Checksum64(const void* data, size_t num_bytes);  // XXH3-64, seed 0

}  // namespace cacheclip
