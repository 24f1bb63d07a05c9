#include "common/redis/redis_client.h"

#include <array>
#include <utility>

#include <openssl/evp.h>

#include "common/base/hash.h"
#include "common/base/status.h"
#include "common/redis/cluster_client.h"
#include "common/redis/late_client.h"
#include "common/redis/standalone_client.h"
#include "common/redis/tls_stream.h"

namespace cacheclip {
namespace {

// The name that Redis gives a script; identifies, protects nothing.
std::string Sha1Hex(std::string_view text) {
  std::array<uint8_t, EVP_MAX_MD_SIZE> digest;
  unsigned int num_bytes = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &num_bytes, EVP_sha1(), nullptr);
  return ToHex(std::span(digest).first(num_bytes));
}

RedisCommand ScriptCommand(std::string_view verb, const std::string& script,
                           std::span<const std::string> keys, std::span<const std::string> args) {
  RedisCommand command{.args = {std::string(verb), script, std::to_string(keys.size())},
                       .key_index = keys.empty() ? 0 : 3};
  command.args.insert(command.args.end(), keys.begin(), keys.end());
  command.args.insert(command.args.end(), args.begin(), args.end());
  return command;
}

}  // namespace

RedisScript::RedisScript(std::string script) : source(std::move(script)), sha1(Sha1Hex(source)) {}

std::vector<absl::StatusOr<RedisReply>> RedisClient::Pipeline(std::span<const RedisCommand> commands,
                                                              const RedisCallOptions& options) {
  std::vector<absl::StatusOr<RedisReply>> replies(commands.size());
  Stream(commands, options, [&](size_t index, absl::StatusOr<RedisReply> reply) {
    replies[index] = std::move(reply);
    return true;
  });
  return replies;
}

absl::StatusOr<RedisReply> RedisClient::Execute(const RedisCommand& command,
                                                const RedisCallOptions& options) {
  return std::move(Pipeline({&command, 1}, options).front());
}

absl::StatusOr<RedisReply> RedisClient::RunScript(const RedisScript& script,
                                                  std::span<const std::string> keys,
                                                  std::span<const std::string> args,
                                                  const RedisCallOptions& options) {
  auto reply = Execute(ScriptCommand("EVALSHA", script.sha1, keys, args), options);
  if (reply.ok() || RedisErrorCode(reply.status()) != "NOSCRIPT") return reply;
  return Execute(ScriptCommand("EVAL", script.source, keys, args), options);
}

absl::StatusOr<std::unique_ptr<RedisClient>> MakeRedisClient(const RedisClientOptions& options) {
  CACHECLIP_RETURN_IF_ERROR(ValidateRedisOptions(options));
  std::shared_ptr<const TlsContext> tls;
  if (options.tls.enabled) {
    CACHECLIP_ASSIGN_OR_RETURN(tls, TlsContext::Make(options.tls));
  }
  switch (options.cluster_mode) {
    case ClusterMode::kYes:
      return std::make_unique<ClusterClient>(options, std::move(tls));
    case ClusterMode::kNo:
      return std::make_unique<StandaloneClient>(options, std::move(tls));
    case ClusterMode::kAuto:
      break;
  }
  auto client = std::make_unique<LateClient>(options, std::move(tls));
  const absl::Status known = client->Resolve();
  if (absl::IsFailedPrecondition(known)) return known;
  return client;  // who cannot be asked now is asked at the first call
}

}  // namespace cacheclip
