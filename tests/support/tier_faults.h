// Breaks the tiers of a running server at random, one fault after another, on a thread of its own: Redis
// killed (with or without its data), stopped, slow or full; stored values flipped, evicted; S3 answering
// errors, cut, stalled; the selector killed. Which faults come in which order follows from the seed; how long
// one lasts is counted in answers, so that every fault meets requests on any machine. Everything works again
// when Stop() returns. Belongs to one test; NoteAnswer() is thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include "tests/support/fault_proxy.h"
#include "tests/support/redis_server.h"
#include "tests/support/slow_link.h"

namespace cacheclip {

// What may be broken. All outlive the faults.
struct FaultTargets {
  RedisServer* redis = nullptr;  // with appendonly, so that it may come back with its data
  SlowLink* redis_link = nullptr;
  FaultProxy* objects = nullptr;
  std::string object_folder, disk_folder;  // files to damage
  std::function<void()> kill_selector, start_selector;
};

class TierFaults {
 public:
  TierFaults(FaultTargets targets, uint32_t seed);
  ~TierFaults() { Stop(); }

  void Start();
  void Stop();        // mends what is broken
  void NoteAnswer();  // a request has ended

  std::map<std::string, int> counts() const { return counts_; }  // by kind; after Stop()

 private:
  void Loop();
  void Run(int kind);
  void WaitForAnswers(int least, int most);
  int Random(int limit) { return static_cast<int>(random_() % static_cast<uint32_t>(limit)); }

  void KillRedis(bool is_emptied);
  void StopRedis();
  void SlowRedis();
  void FillRedis();
  void EvictKeys();
  void FlipRedisValues();
  void FlipFile(const std::string& folder, const std::string& name);
  void BreakObjects();
  void KillSelector();
  std::vector<std::string> SomeRedisKeys(int number);
  RedisReply Ask(std::vector<std::string> args);  // of Redis; an error as a nil

  const FaultTargets targets_;
  std::mt19937 random_;
  std::map<std::string, int> counts_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t num_answers_ = 0;
  bool is_stopping_ = false;
  std::unique_ptr<RedisClient> client_;
  std::thread thread_;
};

}  // namespace cacheclip
