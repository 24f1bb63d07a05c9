#include "services/runtime/store_check.h"

#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/redis/redis_client.h"
#include "common/store/object/object_chunk_store.h"
#include "common/store/redis/server_check.h"
#include "services/runtime/redis_settings.h"
#include "services/runtime/stores.h"

namespace cacheclip {
namespace {

constexpr absl::Duration kProbeTimeout = absl::Seconds(5);

using Warnings = std::vector<std::string>;

// A client for a question: it asks once, and whoever asks again is StoreCheck.
absl::StatusOr<std::unique_ptr<RedisClient>> Connect(absl::StatusOr<RedisClientOptions> options) {
  if (!options.ok()) return options.status();
  options->connections_per_node = 1;
  options->retry_for = absl::ZeroDuration();
  return MakeRedisClient(*options);
}

absl::StatusOr<Warnings> AskRedis(const Config& config) {
  CACHECLIP_ASSIGN_OR_RETURN(const auto chunks, Connect(ChunkRedisOptions(config)));
  std::unique_ptr<RedisClient> catalog;
  if (!config.catalog_url.empty()) {
    CACHECLIP_ASSIGN_OR_RETURN(catalog, Connect(CatalogRedisOptions(config)));
  }
  auto warnings = CheckKvServer(*chunks, catalog.get());
  if (absl::IsPermissionDenied(warnings.status()))  // chunks need no INFO
    return Warnings{absl::StrCat("whether it evicts as it should is unknown: ", warnings.status().message())};
  return warnings;
}

absl::StatusOr<Warnings> AskObjectStore(const Config& config) {
  CACHECLIP_ASSIGN_OR_RETURN(std::unique_ptr<ObjectClient> client, OpenObjectClient(config));
  CACHECLIP_ASSIGN_OR_RETURN(const auto store,
                             ObjectChunkStore::Create(std::move(client), {.num_fetch_threads = 1}));
  CACHECLIP_RETURN_IF_ERROR(store->Probe(absl::Now() + kProbeTimeout));
  return Warnings{};
}

}  // namespace

std::vector<StoreQuestion> StoreQuestions(const Config& config) {
  std::vector<StoreQuestion> questions;
  if (!config.redis_url.empty()) questions.push_back({"redis_url", [config] { return AskRedis(config); }});
  if (!config.object_url.empty())
    questions.push_back({"object_url", [config] { return AskObjectStore(config); }});
  return questions;
}

StoreCheck::StoreCheck(std::vector<StoreQuestion> questions, absl::Duration interval, Report report)
    : open_(std::move(questions)),
      interval_(interval),
      report_(std::move(report)),
      thread_([this] { Run(); }) {}

StoreCheck::~StoreCheck() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stop_changed_.notify_all();
  thread_.join();
}

void StoreCheck::WriteToLog(LogSeverity severity, const std::string& line) {
  if (severity == LogSeverity::kError) {
    CACHECLIP_LOG(Error) << line;
  } else {
    CACHECLIP_LOG(Warning) << line;
  }
}

bool StoreCheck::Settle(const StoreQuestion& question, bool is_first) {
  const absl::StatusOr<Warnings> warnings = question.ask();
  const absl::Status& status = warnings.status();
  const auto line = [&](absl::string_view text) {
    const std::string begin = absl::StrCat(question.setting, ": ");
    return absl::StartsWith(text, begin) ? std::string(text) : absl::StrCat(begin, text);
  };
  if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) {
    if (is_first)
      report_(LogSeverity::kWarning,
              line(absl::StrCat("does not answer, requests go on without it: ", status.message())));
    return false;
  }
  if (!status.ok()) {
    report_(LogSeverity::kError, line(status.message()));
    return true;
  }
  for (const std::string& warning : *warnings) report_(LogSeverity::kWarning, line(warning));
  return true;
}

void StoreCheck::Run() {
  bool is_first = true;
  std::unique_lock lock(mutex_);
  while (!stop_ && !open_.empty()) {
    lock.unlock();
    std::erase_if(open_, [&](const StoreQuestion& question) { return Settle(question, is_first); });
    is_first = false;
    lock.lock();
    if (!open_.empty())
      stop_changed_.wait_for(lock, absl::ToChronoNanoseconds(interval_), [this] { return stop_; });
  }
}

}  // namespace cacheclip
