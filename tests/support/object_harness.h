// What the object tier's tests share: clients over a folder and over a real S3 server, a client whose reads a
// test can watch, hold up or spoil, harnesses of the store contract for both, and ways to damage a stored
// object. One object per test.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "common/store/object/folder_object_client.h"
#include "common/store/object/object_chunk_store.h"
#include "common/store/object/object_names.h"
#include "common/store/object/s3_object_client.h"
#include "tests/support/chunk_store_contract.h"
#include "tests/support/s3_server.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {

inline CancellationToken NoDeadline() { return CancellationToken(); }
inline std::span<const std::byte> BytesOf(const std::string& text) { return std::as_bytes(std::span(text)); }

inline void FlipBitOfFile(const std::string& path, int64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(offset);
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(offset);
  file.put(byte);
}

inline Environment TestEnvironment(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
}

// For a bucket of the test server; retries without waiting.
inline S3ObjectClientOptions TestS3Options(const std::string& endpoint, const std::string& bucket) {
  S3ObjectClientOptions options;
  options.bucket = bucket;
  options.prefix = "some/prefix";
  options.endpoint = endpoint;
  options.path_style = true;
  options.environment = TestEnvironment(
      {{"AWS_ACCESS_KEY_ID", S3Server::kAccessKey}, {"AWS_SECRET_ACCESS_KEY", S3Server::kSecretKey}});
  options.retry.pause = [](absl::Duration) {};
  return options;
}

// Passes everything on to another client; `before_read` may hold the reading thread up or fail the read,
// `after_read` may spoil what was read.
class WatchedObjectClient : public ObjectClient {
 public:
  struct Hooks {
    std::function<absl::Status(std::string_view name, int64_t offset, const CancellationToken& token)>
        before_read;
    std::function<void(int64_t offset, std::span<std::byte> bytes)> after_read;
  };
  WatchedObjectClient(std::unique_ptr<ObjectClient> client, Hooks hooks)
      : client_(std::move(client)), hooks_(std::move(hooks)) {}

  absl::Status Put(std::string_view name, std::span<const std::byte> bytes, PutMode mode,
                   const CancellationToken& token) override {
    return client_->Put(name, bytes, mode, token);
  }
  absl::StatusOr<ObjectRead> Read(std::string_view name, int64_t offset, std::span<std::byte> out,
                                  const CancellationToken& token) override {
    if (hooks_.before_read)
      if (absl::Status status = hooks_.before_read(name, offset, token); !status.ok()) return status;
    auto read = client_->Read(name, offset, out, token);
    if (read.ok() && hooks_.after_read) hooks_.after_read(offset, out.first(read->num_bytes));
    return read;
  }
  absl::StatusOr<ObjectInfo> Head(std::string_view name, const CancellationToken& token) override {
    return client_->Head(name, token);
  }
  absl::Status Delete(std::string_view name, const CancellationToken& token) override {
    return client_->Delete(name, token);
  }
  absl::StatusOr<ObjectPage> List(std::string_view prefix, const std::string& page, int max_objects,
                                  const CancellationToken& token) override {
    return client_->List(prefix, page, max_objects, token);
  }
  const std::string& url() const override { return client_->url(); }

 private:
  const std::unique_ptr<ObjectClient> client_;
  const Hooks hooks_;
};

class FolderStoreHarness : public StoreHarness {
 public:
  explicit FolderStoreHarness(const StoreLimits& limits) {
    ObjectChunkStoreOptions options;
    options.max_bytes = limits.max_bytes;
    options.max_objects = limits.max_objects;
    options.clock = &clock();
    store_ = ObjectChunkStore::Create(
                 FolderObjectClient::Open({.folder = folder_.path(), .clock = &clock()}).value(), options)
                 .value();
  }
  ChunkStore& store() override { return *store_; }
  bool Corrupt(const ChunkKey& key) override {
    const std::string path = folder_.path() + "/" + ChunkObjectName(key);
    FlipBitOfFile(path, static_cast<int64_t>(std::filesystem::file_size(path)) / 2);
    return true;
  }

 private:
  TempFolder folder_;
  std::unique_ptr<ObjectChunkStore> store_;
};

class S3StoreHarness : public StoreHarness {
 public:
  explicit S3StoreHarness(S3Server& server) : server_(server), bucket_(server.MakeBucket()) {
    S3ObjectClientOptions options = TestS3Options(server.endpoint(), bucket_);
    options.http.tls_ca = server.certificate();
    options.http.clock = options.retry.clock = &clock();
    store_ = ObjectChunkStore::Create(S3ObjectClient::Create(std::move(options)).value(), {.clock = &clock()})
                 .value();
  }
  ChunkStore& store() override { return *store_; }
  bool has_budget() const override { return false; }
  bool Corrupt(const ChunkKey& key) override {
    const std::string path = server_.ObjectFile(bucket_, "some/prefix/" + ChunkObjectName(key));
    FlipBitOfFile(path, static_cast<int64_t>(std::filesystem::file_size(path)) / 2);
    return true;
  }

 private:
  S3Server& server_;
  const std::string bucket_;
  std::unique_ptr<ObjectChunkStore> store_;
};

}  // namespace cacheclip
