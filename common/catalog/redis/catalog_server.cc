#include "common/catalog/redis/catalog_server.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/catalog/redis/catalog_scripts.h"
#include "common/catalog/validate.h"

namespace cacheclip {
namespace {

constexpr int kScriptKeyIndex = 3;  // EVALSHA sha1 numkeys key …

RedisCommand OnOneKey(std::string verb, const std::string& script, const std::string& key,
                      std::span<const std::string> args) {
  RedisCommand command{.args = {std::move(verb), script, "1", key}, .key_index = kScriptKeyIndex};
  command.args.insert(command.args.end(), args.begin(), args.end());
  return command;
}

}  // namespace

CatalogServer::CatalogServer(RedisClient* client, std::string root, absl::Duration timeout,
                             const Clock* clock)
    : client_(client), root_(std::move(root)), timeout_(timeout), clock_(clock) {}

RedisCallOptions CatalogServer::call_options(Repeat repeat) const {
  return {.deadline = absl::Now() + timeout_,
          .is_idempotent = repeat == Repeat::kHarmless,
          .retry_for = timeout_};
}

absl::Status CatalogServer::Translate(const absl::Status& status) const {
  const std::string context = absl::StrCat("catalogue at ", client_->address());
  if (absl::IsDeadlineExceeded(status))
    return absl::UnavailableError(absl::StrCat(context, ": ", status.message()));
  if (RedisErrorCode(status) == CatalogScripts::kTooLarge)
    return FieldError(absl::StatusCode::kResourceExhausted, "chunk_ids", "too many bytes: ask for fewer");
  return WithContext(status, context);
}

absl::StatusOr<RedisReply> CatalogServer::Run(std::string_view namespace_name, const RedisScript& script,
                                              std::span<const std::string> keys,
                                              std::span<const std::string> args, Repeat repeat) const {
  absl::StatusOr<RedisReply> reply = client_->RunScript(script, keys, args, call_options(repeat));
  if (reply.ok()) return reply;
  if (RedisErrorCode(reply.status()) == CatalogScripts::kNoNamespace)
    return NoSuchRecord("namespace", namespace_name);
  return Translate(reply.status());
}

absl::StatusOr<RedisReply> CatalogServer::Execute(const RedisCommand& command) const {
  absl::StatusOr<RedisReply> reply = client_->Execute(command, call_options(Repeat::kHarmless));
  if (!reply.ok()) return Translate(reply.status());
  return reply;
}

absl::StatusOr<std::vector<RedisReply>> CatalogServer::Pipeline(
    std::span<const RedisCommand> commands) const {
  std::vector<RedisReply> replies;
  replies.reserve(commands.size());
  if (commands.empty()) return replies;
  for (absl::StatusOr<RedisReply>& reply : client_->Pipeline(commands, call_options(Repeat::kHarmless))) {
    if (!reply.ok()) return Translate(reply.status());
    replies.push_back(*std::move(reply));
  }
  return replies;
}

absl::StatusOr<std::vector<int64_t>> CatalogServer::RunOnEach(const RedisScript& script,
                                                              std::span<const std::string> keys,
                                                              std::span<const std::string> args) const {
  std::vector<RedisCommand> commands;
  for (const std::string& key : keys) commands.push_back(OnOneKey("EVALSHA", script.sha1, key, args));
  std::vector<int64_t> results(keys.size());
  std::vector<size_t> unknown;  // where the node has not seen the script yet
  const auto replies = client_->Pipeline(commands, call_options(Repeat::kHarmless));
  for (size_t i = 0; i < replies.size(); ++i) {
    if (replies[i].ok()) {
      results[i] = IntegerOf(*replies[i]);
    } else if (RedisErrorCode(replies[i].status()) == "NOSCRIPT") {
      unknown.push_back(i);
    } else {
      return Translate(replies[i].status());
    }
  }
  for (const size_t i : unknown) {
    CACHECLIP_ASSIGN_OR_RETURN(const RedisReply reply,
                               Run("", script, keys.subspan(i, 1), args, Repeat::kHarmless));
    results[i] = IntegerOf(reply);
  }
  return results;
}

absl::Status CatalogServer::CheckNamespace(std::string_view namespace_name) const {
  CACHECLIP_RETURN_IF_ERROR(ValidateNamespaceName(namespace_name));
  CACHECLIP_ASSIGN_OR_RETURN(const RedisReply exists,
                             Execute({.args = {"HEXISTS", keys(namespace_name).info(), "created"}}));
  if (exists.integer == 0) return NoSuchRecord("namespace", namespace_name);
  return absl::OkStatus();
}

absl::Status UnexpectedReply(std::string_view what) {
  return absl::InternalError(
      absl::StrCat("the catalogue on Redis gave an unexpected reply: ", AbslView(what)));
}

std::vector<std::string> TextsOf(const RedisReply& reply) {
  std::vector<std::string> texts;
  texts.reserve(reply.elements.size());
  for (const RedisReply& element : reply.elements) texts.push_back(element.text);
  return texts;
}

int64_t IntegerOf(const RedisReply& reply) {
  if (reply.is_integer()) return reply.integer;
  int64_t value = 0;
  return reply.is_text() && absl::SimpleAtoi(reply.text, &value) ? value : -1;
}

}  // namespace cacheclip
