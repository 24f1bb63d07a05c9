#include "services/runtime/store_check.h"

#include <algorithm>
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

using Warnings = std::vector<std::string>;
using Servers = std::vector<RedisServerFacts>;

// What the question about redis_url has found, for the one that compares.
struct ChunkServers {
  bool is_asked = false;
  Servers servers;  // none: they do not say
};

// A client for a question: it asks once, and whoever asks again is StoreCheck.
absl::StatusOr<Servers> Ask(absl::StatusOr<RedisClientOptions> options, absl::Duration limit) {
  if (!options.ok()) return options.status();
  options->connections_per_node = 1;
  options->retry_for = absl::ZeroDuration();
  options->timeout = std::min(options->timeout, limit);
  CACHECLIP_ASSIGN_OR_RETURN(const auto client, MakeRedisClient(*options));
  return AskRedisServers(*client, absl::Now() + limit);
}

absl::StatusOr<Warnings> AskChunkServers(const Config& config, absl::Duration limit, ChunkServers& found) {
  auto servers = Ask(ChunkRedisOptions(config), limit);
  if (StoreCheck::IsSilence(servers.status())) return servers.status();
  found.is_asked = true;
  if (absl::IsPermissionDenied(servers.status()))
    return Warnings{absl::StrCat("whether it evicts as it should is unknown: ", servers.status().message())};
  if (!servers.ok()) return servers.status();
  found.servers = *std::move(servers);
  return ChunkWarnings(found.servers);
}

absl::StatusOr<Warnings> AskCatalogServers(const Config& config, absl::Duration limit,
                                           const ChunkServers& chunks) {
  if (!chunks.is_asked) return absl::AbortedError("redis_url has not answered yet");
  if (chunks.servers.empty()) return Warnings{};
  const auto servers = Ask(CatalogRedisOptions(config), limit);
  if (absl::IsPermissionDenied(servers.status()))
    return Warnings{
        absl::StrCat("whether it shares a server with redis_url is unknown: ", servers.status().message())};
  if (!servers.ok()) return servers.status();
  return CheckSharing(chunks.servers, *servers);
}

absl::StatusOr<Warnings> AskObjectStore(const Config& config, absl::Duration limit) {
  CACHECLIP_ASSIGN_OR_RETURN(std::unique_ptr<ObjectClient> client, OpenObjectClient(config));
  CACHECLIP_ASSIGN_OR_RETURN(const auto store,
                             ObjectChunkStore::Create(std::move(client), {.num_fetch_threads = 1}));
  CACHECLIP_RETURN_IF_ERROR(store->Probe(absl::Now() + limit));
  return Warnings{};
}

}  // namespace

std::vector<StoreQuestion> StoreQuestions(const Config& config, absl::Duration limit) {
  std::vector<StoreQuestion> questions;
  if (!config.redis_url.empty()) {
    const auto chunks = std::make_shared<ChunkServers>();  // of the one thread that asks
    questions.push_back({"redis_url", [=](const auto&) { return AskChunkServers(config, limit, *chunks); }});
    if (!config.catalog_url.empty())
      questions.push_back({"catalog_url",
                           [=](const auto&) { return AskCatalogServers(config, limit, *chunks); },
                           "whether it shares a server with redis_url is not known yet"});
  }
  if (!config.object_url.empty())
    questions.push_back({"object_url", [=](const auto&) { return AskObjectStore(config, limit); }});
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
    stop_.Cancel();
  }
  stop_changed_.notify_all();
  thread_.join();
}

bool StoreCheck::IsSilence(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status);  // too many clients, for instance
}

void StoreCheck::WriteToLog(LogSeverity severity, const std::string& line) {
  if (severity == LogSeverity::kError) {
    CACHECLIP_LOG(Error) << line;
  } else {
    CACHECLIP_LOG(Warning) << line;
  }
}

bool StoreCheck::Settle(const StoreQuestion& question) {
  const absl::StatusOr<Warnings> warnings = question.ask(stop_);
  const absl::Status& status = warnings.status();
  const auto line = [&](absl::string_view text) {
    const std::string begin = absl::StrCat(question.setting, ": ");
    return absl::StartsWith(text, begin) ? std::string(text) : absl::StrCat(begin, text);
  };
  if (absl::IsAborted(status)) return false;
  if (IsSilence(status)) {
    if (said_silent_.insert(question.setting).second)
      report_(LogSeverity::kWarning,
              line(absl::StrCat("does not answer, ", question.while_silent, ": ", status.message())));
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
  const auto is_stopping = [this] { return !stop_.Check().ok(); };
  while (!open_.empty() && !is_stopping()) {
    std::erase_if(open_, [&](const StoreQuestion& question) { return !is_stopping() && Settle(question); });
    std::unique_lock lock(mutex_);
    if (!open_.empty()) stop_changed_.wait_for(lock, absl::ToChronoNanoseconds(interval_), is_stopping);
  }
}

}  // namespace cacheclip
