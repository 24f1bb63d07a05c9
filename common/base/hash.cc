#include "common/base/hash.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "common/base/logging.h"
#include "common/base/string_view.h"

namespace cacheclip {

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  CACHECLIP_CHECK(EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() = default;

Sha256& Sha256::AddBytes(const void* data, size_t num_bytes) {
  CACHECLIP_CHECK(EVP_DigestUpdate(context_->evp, data, num_bytes) == 1);
  return *this;
}

Sha256& Sha256::AddField(std::string_view bytes) {
  AddInteger(bytes.size());
  return AddBytes(bytes.data(), bytes.size());
}

Sha256& Sha256::AddInteger(uint64_t value) {
  uint8_t bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<uint8_t>(value >> (8 * i));
  return AddBytes(bytes, sizeof bytes);
}

Digest Sha256::Finish() {
  Digest digest;
  unsigned int size = 0;
  CACHECLIP_CHECK(EVP_DigestFinal_ex(context_->evp, digest.data(), &size) == 1 && size == digest.size());
  return digest;
}

std::string ToHex(std::span<const uint8_t> bytes) {
  return absl::BytesToHexString({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

bool FromHex(std::string_view hex, std::span<uint8_t> out) {
  if (hex.size() != 2 * out.size()) return false;
  for (char c : hex)
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return false;
  const std::string bytes = absl::HexStringToBytes(AbslView(hex));
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return true;
}

uint64_t Checksum64(const void* data, size_t num_bytes) { return XXH3_64bits(data, num_bytes); }

}  // namespace cacheclip
