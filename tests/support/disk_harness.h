// What the disk tier's tests share: a store in a folder of its own, a way to damage a stored file, a way to
// run code in a forked process, and what the folder really holds. One object per test.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>

#include "common/store/disk_chunk_store.h"
#include "tests/support/chunk_store_contract.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_chunks.h"

namespace cacheclip {

inline std::string ObjectFile(const std::string& folder, const ChunkKey& key) {
  return folder + "/objects/" + key.ToHex().substr(0, 2) + "/" + key.ToHex().substr(2) + ".ccv";
}

inline void FlipBit(const std::string& path, int64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(offset);
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(offset);
  file.put(byte);
}

struct FolderContent {
  int64_t objects = 0, object_bytes = 0, temp_files = 0;
};
inline FolderContent ContentOf(const std::string& folder) {
  FolderContent content;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder + "/objects"))
    if (entry.is_regular_file()) {
      ++content.objects;
      content.object_bytes += static_cast<int64_t>(entry.file_size());
    }
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder + "/temp"))
    ++content.temp_files;
  return content;
}

// Runs `body` in a forked process, whose exit status is the result; waits for it. The body opens its own
// store.
inline int RunInProcess(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

class DiskHarness : public StoreHarness {
 public:
  explicit DiskHarness(const StoreLimits& limits)
      : store_(DiskChunkStore::Open({.folder = folder_.path(),
                                     .max_bytes = limits.max_bytes,
                                     .max_objects = limits.max_objects,
                                     .clock = &clock()})
                   .value()) {}
  ChunkStore& store() override { return *store_; }
  bool Corrupt(const ChunkKey& key) override {
    const std::string path = ObjectFile(folder_.path(), key);
    FlipBit(path, static_cast<int64_t>(std::filesystem::file_size(path)) / 2);
    return true;
  }

 private:
  TempFolder folder_;
  std::unique_ptr<DiskChunkStore> store_;
};

}  // namespace cacheclip
