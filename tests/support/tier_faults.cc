#include "tests/support/tier_faults.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/poll.h"

namespace cacheclip {
namespace {

namespace fs = std::filesystem;

constexpr int kNumKinds = 10;

std::vector<fs::path> FilesIn(const std::string& folder) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (fs::recursive_directory_iterator at(folder, ignored), end; at != end; at.increment(ignored))
    if (at->is_regular_file(ignored) && at->file_size(ignored) > 1024) files.push_back(at->path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

TierFaults::TierFaults(FaultTargets targets, uint32_t seed)
    : targets_(std::move(targets)), random_(seed), client_(targets_.redis->MakeClient()) {}

void TierFaults::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void TierFaults::Stop() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void TierFaults::NoteAnswer() {
  std::lock_guard lock(mutex_);
  ++num_answers_;
  changed_.notify_all();
}

void TierFaults::WaitForAnswers(int least, int most) {
  std::unique_lock lock(mutex_);
  const int64_t goal = num_answers_ + least + Random(most - least + 1);
  changed_.wait(lock, [&] { return is_stopping_ || num_answers_ >= goal; });
}

void TierFaults::Loop() {
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      if (is_stopping_) return;
    }
    Run(Random(kNumKinds));
    WaitForAnswers(1, 6);  // a healthy moment
  }
}

void TierFaults::Run(int kind) {
  switch (kind) {
    case 0:
      return KillRedis(/*is_emptied=*/true);
    case 1:
      return KillRedis(/*is_emptied=*/false);
    case 2:
      return StopRedis();
    case 3:
      return SlowRedis();
    case 4:
      return FillRedis();
    case 5:
      return EvictKeys();
    case 6:
      return FlipRedisValues();
    case 7:
      return FlipFile(targets_.disk_folder, "disk file flipped");
    case 8:
      FlipFile(targets_.object_folder, "object flipped");
      return BreakObjects();
    default:
      return KillSelector();
  }
}

RedisReply TierFaults::Ask(std::vector<std::string> args) {
  return client_->Execute({.args = std::move(args), .key_index = 0}, {.is_idempotent = true})
      .value_or(RedisReply{});
}

void TierFaults::KillRedis(bool is_emptied) {
  ++counts_[is_emptied ? "redis killed, came back empty" : "redis killed, came back with its data"];
  if (is_emptied) Ask({"FLUSHALL"});
  targets_.redis->Kill();
  WaitForAnswers(1, 10);
  targets_.redis->Restart();
}

void TierFaults::StopRedis() {
  ++counts_["redis stopped"];
  targets_.redis->Pause();
  WaitForAnswers(1, 10);
  targets_.redis->Resume();
}

void TierFaults::SlowRedis() {
  const int way = Random(3);
  ++counts_[way == 0 ? "redis at 1 MB/s" : way == 1 ? "redis 200 ms away" : "redis answers lost"];
  if (way == 0) targets_.redis_link->LimitTo(1'000'000);
  if (way == 1) targets_.redis_link->Delay(200);
  if (way == 2) targets_.redis_link->Stall();
  WaitForAnswers(2, 10);
  targets_.redis_link->Restore();
}

// Full of keys that may not be evicted: chunks go, and puts are refused with -OOM.
void TierFaults::FillRedis() {
  ++counts_["redis filled"];
  const std::string block(1 << 20, 'x');
  constexpr int kMaxBlocks = 64;
  int num_blocks = 0;
  while (num_blocks < kMaxBlocks && !Ask({"SET", absl::StrCat("filler:", num_blocks), block}).is_nil())
    ++num_blocks;
  WaitForAnswers(2, 10);
  for (int i = 0; i < num_blocks; ++i) Ask({"UNLINK", absl::StrCat("filler:", i)});
}

std::vector<std::string> TierFaults::SomeRedisKeys(int number) {
  std::vector<std::string> keys;
  for (int i = 0; i < number; ++i)
    if (const RedisReply key = Ask({"RANDOMKEY"}); key.text.starts_with("cc:kv:")) keys.push_back(key.text);
  return keys;
}

void TierFaults::EvictKeys() {
  for (const std::string& key : SomeRedisKeys(1 + Random(8))) {
    ++counts_["redis key evicted"];
    Ask({"UNLINK", key});
  }
}

void TierFaults::FlipRedisValues() {
  for (const std::string& key : SomeRedisKeys(1 + Random(4))) {
    const int64_t size = Ask({"STRLEN", key}).integer;
    if (size == 0) continue;
    ++counts_["redis value flipped"];
    const std::string at = absl::StrCat(Random(static_cast<int>(size)));
    std::string byte = Ask({"GETRANGE", key, at, at}).text;
    if (byte.empty()) continue;
    byte[0] = static_cast<char>(byte[0] ^ (1 << Random(8)));
    Ask({"SETRANGE", key, at, byte});
  }
}

// As a disk does it, at rest: who has the file mapped keeps the pages that were checked.
void TierFaults::FlipFile(const std::string& folder, const std::string& name) {
  const std::vector<fs::path> files = FilesIn(folder);
  if (files.empty()) return;
  const fs::path file = files[Random(static_cast<int>(files.size()))];
  std::error_code error;
  const fs::path damaged = fs::path(folder).parent_path() / "damaged";
  fs::copy_file(file, damaged, fs::copy_options::overwrite_existing, error);
  const auto size = fs::file_size(damaged, error);
  if (error || size == 0) return;  // evicted meanwhile
  {
    std::fstream bytes(damaged, std::ios::in | std::ios::out | std::ios::binary);
    const int at = Random(static_cast<int>(size));
    bytes.seekg(at);
    const char byte = static_cast<char>(bytes.get() ^ (1 << Random(8)));
    bytes.seekp(at);
    bytes.put(byte);
  }
  if (!fs::exists(file, error)) return;
  fs::rename(damaged, file, error);
  if (!error) ++counts_[name];
}

void TierFaults::BreakObjects() {
  const std::pair<const char*, Fault> faults[] = {{"object store answers 500", Fault::Respond(500)},
                                                  {"object store answers 503", Fault::Respond(503)},
                                                  {"object store stalls", Fault::Stall()},
                                                  {"object store resets", Fault::Reset()},
                                                  {"object store cuts answers", Fault::Cut(3000)},
                                                  {"object store flips a bit", Fault::Flip(Random(1 << 19))},
                                                  {"object store loses answers", Fault::Lose()}};
  const auto& [name, fault] = faults[Random(static_cast<int>(std::size(faults)))];
  ++counts_[name];
  targets_.objects->Decide([fault = fault](const ProxyRequest&) { return fault; });
  WaitForAnswers(2, 10);
  targets_.objects->Decide([](const ProxyRequest&) { return Fault::Pass(); });
}

void TierFaults::KillSelector() {
  ++counts_["selector killed"];
  targets_.kill_selector();
  WaitForAnswers(1, 10);
  targets_.start_selector();
}

}  // namespace cacheclip
