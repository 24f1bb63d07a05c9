#include "common/rpc/tls_files.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "common/base/status.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

std::string Write(const TempFolder& folder, const std::string& name, const std::string& text) {
  const std::string file = folder.path() + "/" + name;
  std::ofstream(file) << text;
  return file;
}

TEST(TlsFiles, ReadsAPair) {
  TempFolder folder;
  const std::string certificate = Write(folder, "c.pem", "-----BEGIN CERTIFICATE-----\n");
  const std::string key = Write(folder, "k.pem", "-----BEGIN PRIVATE KEY-----\n");
  const auto pair = ReadKeyPair("tls_", certificate, key);
  ASSERT_TRUE(pair.ok()) << pair.status();
  EXPECT_EQ(pair->certificate, "-----BEGIN CERTIFICATE-----\n");
  EXPECT_EQ(pair->key, "-----BEGIN PRIVATE KEY-----\n");
}

TEST(TlsFiles, NoFilesAreNoPair) {
  const auto pair = ReadKeyPair("tls_", "", "");
  ASSERT_TRUE(pair.ok()) << pair.status();
  EXPECT_TRUE(pair->certificate.empty());
  EXPECT_EQ(*ReadPem("tls_ca", ""), "");
}

TEST(TlsFiles, NamesTheOptionThatIsWrong) {
  TempFolder folder;
  const std::string text = Write(folder, "text", "no PEM");
  EXPECT_EQ(FieldOf(ReadKeyPair("tls_", "", text).status()), "tls_certificate");
  EXPECT_EQ(FieldOf(ReadKeyPair("tls_", text, "").status()), "tls_key");
  EXPECT_EQ(FieldOf(ReadPem("tls_ca", text).status()), "tls_ca");
  EXPECT_EQ(ReadPem("tls_ca", "/no/such/file").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace cacheclip
