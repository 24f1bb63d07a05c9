// A real S3 server (versitygw over a folder, plain or TLS) on a loopback port, for the tests of one program:
// started once by Plain() or Tls(), killed with the program. Each test makes a bucket of its own. Buckets are
// folders below the server's data folder, objects are files in them, so a test may damage an object behind
// the server's back. Needs versitygw in $CACHECLIP_CACHE/go-bin (tools/setup/test_servers.sh):
//
//   CACHECLIP_REQUIRE_S3_SERVER();   // skips with the reason; fails in CI
//   S3Server& server = S3Server::Plain();
//   options.bucket = server.MakeBucket(); options.endpoint = server.endpoint();
//
// Not thread-safe.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "tests/support/subprocess.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {

class S3Server {
 public:
  static constexpr char kAccessKey[] = "test-access-key";
  static constexpr char kSecretKey[] = "test-secret-key-0123456789";
  static constexpr char kRegion[] = "us-east-1";

  static bool IsInstalled();
  static S3Server& Plain();
  static S3Server& Tls();  // with a certificate for localhost and 127.0.0.1 made by openssl

  explicit S3Server(bool with_tls);  // aborts the test program if it does not start

  std::string MakeBucket();  // empty, with a name of its own
  std::string ObjectFile(const std::string& bucket, const std::string& key) const;
  std::string endpoint() const;        // "http://127.0.0.1:port"
  std::string address() const;         // "127.0.0.1:port"
  std::string named_endpoint() const;  // "http://localhost:port", for bucket.localhost
  const std::string& certificate() const { return certificate_; }  // PEM file; TLS only

 private:
  void Start();

  TempFolder folder_;
  const bool with_tls_;
  std::string certificate_, key_;
  int port_ = 0;
  int num_buckets_ = 0;
  std::unique_ptr<Subprocess> process_;
};

}  // namespace cacheclip

#define CACHECLIP_REQUIRE_S3_SERVER()                                                                      \
  if (!::cacheclip::S3Server::IsInstalled()) {                                                             \
    if (std::getenv("CI") != nullptr) FAIL() << "versitygw is not installed: tools/setup/test_servers.sh"; \
    GTEST_SKIP() << "versitygw is not installed: tools/setup/test_servers.sh";                             \
  }
