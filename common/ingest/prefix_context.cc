#include "common/ingest/prefix_context.h"

#include <algorithm>
#include <functional>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

constexpr size_t kPrefixIdBytes = 8;  // 16 hex digits: enough to tell apart kMaxPrefixesPerNamespace prefixes

std::string_view PlacementName(PrefixSpec::Placement placement) {
  return placement == PrefixSpec::Placement::kSystem ? "system" : "user";
}

std::string PrefixIdOf(const Prefix& prefix) {
  Sha256 hash;
  for (const std::string* text :
       {&prefix.system_prompt, &prefix.instruction, &prefix.placement, &prefix.separator,
        &prefix.model_fingerprint, &prefix.tokenizer_fingerprint})
    hash.AddField(*text);
  for (const int32_t id : prefix.token_ids) hash.AddInteger(static_cast<uint64_t>(id));
  return ToHex(std::span<const uint8_t>(hash.Finish()).first(kPrefixIdBytes));
}

absl::Status CheckFingerprints(const Runtime& runtime, const Prefix& record) {
  const std::string model = ToHex(runtime.model->fingerprint());
  const std::string tokenizer = ToHex(runtime.tokenizer->fingerprint());
  if (record.model_fingerprint == model && record.tokenizer_fingerprint == tokenizer) return absl::OkStatus();
  return FieldError(absl::StatusCode::kFailedPrecondition, "prefix_id",
                    absl::StrCat("prefix ", record.prefix_id, " was registered for model ",
                                 record.model_fingerprint, " and tokenizer ", record.tokenizer_fingerprint,
                                 "; loaded are model ", model, " and tokenizer ", tokenizer,
                                 ": another model needs another namespace, or a prefix of its own"));
}

bool SameTexts(const Prefix& record, const PrefixSpec& spec) {
  return record.system_prompt == spec.system_prompt && record.instruction == spec.instruction &&
         record.separator == spec.separator && record.placement == PlacementName(spec.placement);
}

}  // namespace

KvShape Runtime::chunk_shape() const {
  KvShape shape = model->kv_shape();
  shape.dtype = kv_dtype.value_or(shape.dtype);
  return shape;
}

const std::string& Runtime::SaltOf(std::string_view namespace_name) const {
  const auto salt = namespace_salts.find(namespace_name);
  return salt == namespace_salts.end() ? default_salt : salt->second;
}

PrefixSpec SpecOf(const Prefix& record) {
  return {.system_prompt = record.system_prompt,
          .instruction = record.instruction,
          .placement =
              record.placement == "system" ? PrefixSpec::Placement::kSystem : PrefixSpec::Placement::kUser,
          .separator = record.separator,
          .template_time = record.template_time};
}

absl::StatusOr<Prefix> MakePrefix(const Runtime& runtime, std::string_view namespace_name,
                                  const PrefixSpec& spec) {
  CACHECLIP_ASSIGN_OR_RETURN(std::vector<int32_t> ids, runtime.layout->PrefixIds(spec));
  const int64_t limit = std::min<int64_t>(kMaxPrefixTokens, runtime.model->config().max_positions);
  if (static_cast<int64_t>(ids.size()) > limit)
    return FieldError(
        absl::StatusCode::kResourceExhausted, "system_prompt",
        absl::StrCat("the prefix has ", ids.size(), " tokens, at most ", limit, " are allowed"));
  Prefix prefix{.namespace_name = std::string(namespace_name),
                .system_prompt = spec.system_prompt,
                .instruction = spec.instruction,
                .placement = std::string(PlacementName(spec.placement)),
                .separator = spec.separator,
                .template_time = absl::FromUnixSeconds(absl::ToUnixSeconds(spec.template_time)),
                .model_fingerprint = ToHex(runtime.model->fingerprint()),
                .tokenizer_fingerprint = ToHex(runtime.tokenizer->fingerprint()),
                .token_ids = std::move(ids)};
  prefix.prefix_id = PrefixIdOf(prefix);
  return prefix;
}

PrefixContext::PrefixContext(const Runtime& runtime, Prefix record)
    : runtime_(runtime),
      record_(std::move(record)),
      spec_(SpecOf(record_)),
      encoder_(runtime.model, {.tokenizer_fingerprint = runtime.tokenizer->fingerprint(),
                               .namespace_salt = runtime.SaltOf(record_.namespace_name),
                               .prefix_ids = record_.token_ids,
                               .writer_version = runtime.writer_version,
                               .kv_dtype = runtime.kv_dtype}) {}

absl::StatusOr<Encoding> PrefixContext::TokenizeChunk(std::string_view text, std::string_view title) const {
  return runtime_.layout->ChunkIds(spec_, text, title);
}

absl::StatusOr<std::shared_ptr<const EncodedChunk>> PrefixContext::Encode(
    const Encoding& chunk, TaskPriority priority, const CancellationToken& cancellation) {
  CACHECLIP_RETURN_IF_ERROR(cancellation.Check());
  absl::StatusOr<std::shared_ptr<const EncodedChunk>> result = absl::InternalError("not run");
  runtime_.executor->Run(priority, [&] {
    result =
        encoder_.Encode(chunk.ids, chunk.spans, absl::ToUnixSeconds(runtime_.clock->Now()), cancellation);
  });
  return result;
}

absl::StatusOr<StoreHit> PrefixContext::PrefixChunk(TaskPriority priority, absl::Time deadline) {
  if (record_.token_ids.empty()) return StoreHit{nullptr, Tier::kComputed};
  if (auto kept = kept_prefix()) return StoreHit{std::move(kept), Tier::kMemory};
  const ChunkKey key = encoder_.PrefixKey();
  if (auto hit = runtime_.store->Get(key, GetOptions{.deadline = deadline}); hit.ok()) {
    if (CheckIdentity(hit->chunk->header(), key, {}, record_.token_ids).ok()) {
      KeepPrefix(hit->chunk);
      if (priority == TaskPriority::kBackground) EnsureKept(key);
      return hit;
    }
    CACHECLIP_LOG(Warning) << "the stored prefix " << record_.prefix_id << " is another one; deleted";
    runtime_.store->Delete(key).IgnoreError();
  }
  CACHECLIP_ASSIGN_OR_RETURN(const auto chunk, EncodePrefix(priority));
  if (priority == TaskPriority::kBackground) {
    const absl::Status stored = runtime_.store->PutInGroup(chunk, record_.namespace_name);
    if (!stored.ok()) {
      CACHECLIP_LOG(Warning) << "prefix " << record_.prefix_id << " is not stored: " << stored;
    }
  }
  return StoreHit{chunk, Tier::kComputed};
}

// What is registered or preloaded should not lie in a faster tier alone.
void PrefixContext::EnsureKept(const ChunkKey& key) {
  const auto kept = runtime_.store->EnsureKept(key, record_.namespace_name);
  if (!kept.ok()) {
    CACHECLIP_LOG(Warning) << "prefix " << record_.prefix_id << " is not copied: " << kept.status();
  }
}

std::shared_ptr<const EncodedChunk> PrefixContext::kept_prefix() const {
  std::lock_guard lock(prefix_mutex_);
  return prefix_chunk_;
}

void PrefixContext::KeepPrefix(std::shared_ptr<const EncodedChunk> chunk) {
  std::lock_guard lock(prefix_mutex_);
  prefix_chunk_ = std::move(chunk);
}

absl::StatusOr<std::shared_ptr<const EncodedChunk>> PrefixContext::EncodePrefix(TaskPriority priority) {
  absl::StatusOr<std::shared_ptr<const EncodedChunk>> chunk = absl::InternalError("not run");
  runtime_.executor->Run(priority,
                         [&] { chunk = encoder_.EncodePrefix(absl::ToUnixSeconds(runtime_.clock->Now())); });
  if (chunk.ok()) KeepPrefix(*chunk);
  return chunk;
}

absl::StatusOr<std::shared_ptr<PrefixContext>> PrefixContexts::Get(std::string_view namespace_name,
                                                                   std::string_view prefix_id) {
  Id id(namespace_name, prefix_id);
  if (prefix_id.empty()) {
    CACHECLIP_ASSIGN_OR_RETURN(id.second, DefaultPrefixId(namespace_name));
  }
  if (auto context = Find(id)) return context;
  CACHECLIP_ASSIGN_OR_RETURN(Prefix record, runtime_.catalog->GetPrefix(namespace_name, id.second));
  CACHECLIP_RETURN_IF_ERROR(CheckFingerprints(runtime_, record));
  return Keep(id, std::move(record));
}

absl::StatusOr<std::shared_ptr<PrefixContext>> PrefixContexts::GetForSpec(std::string_view namespace_name,
                                                                          const PrefixSpec& spec) {
  CACHECLIP_ASSIGN_OR_RETURN(Prefix record, MakePrefix(runtime_, namespace_name, spec));
  const Id id(namespace_name, record.prefix_id);
  if (auto context = Find(id)) return context;
  return Keep(id, std::move(record));
}

absl::StatusOr<Prefix> PrefixContexts::Register(std::string_view namespace_name, const PrefixSpec& spec,
                                                bool make_default) {
  CACHECLIP_ASSIGN_OR_RETURN(const PrefixSpec timed_spec, WithTemplateTime(namespace_name, spec));
  CACHECLIP_ASSIGN_OR_RETURN(Prefix prefix, MakePrefix(runtime_, namespace_name, timed_spec));
  auto existing = runtime_.catalog->GetPrefix(namespace_name, prefix.prefix_id);
  if (!existing.ok() && !absl::IsNotFound(existing.status())) return existing.status();
  if (existing.ok()) prefix = *existing;
  if (!existing.ok() || (make_default && !prefix.is_default)) {
    CACHECLIP_RETURN_IF_ERROR(runtime_.catalog->PutNamespace(namespace_name).status());
    prefix.is_default = prefix.is_default || make_default;
    CACHECLIP_RETURN_IF_ERROR(runtime_.catalog->PutPrefix(prefix));
  }
  CACHECLIP_ASSIGN_OR_RETURN(auto context, Get(namespace_name, prefix.prefix_id));
  CACHECLIP_RETURN_IF_ERROR(context->PrefixChunk(TaskPriority::kBackground).status());
  return prefix;
}

std::shared_ptr<PrefixContext> PrefixContexts::Find(const Id& id) {
  std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(contexts_, id, [](const auto& entry) { return entry.first; });
  if (found == contexts_.end()) return nullptr;
  contexts_.splice(contexts_.begin(), contexts_, found);
  return found->second;
}

std::shared_ptr<PrefixContext> PrefixContexts::Keep(const Id& id, Prefix record) {
  auto context = std::make_shared<PrefixContext>(runtime_, std::move(record));
  std::lock_guard lock(mutex_);
  for (const auto& [kept_id, kept] : contexts_)
    if (kept_id == id) return kept;  // another thread was faster
  contexts_.emplace_front(id, context);
  if (contexts_.size() > kMaxPrefixContexts) contexts_.pop_back();
  return context;
}

absl::StatusOr<std::string> PrefixContexts::DefaultPrefixId(std::string_view namespace_name) {
  const auto prefix = runtime_.catalog->GetPrefix(namespace_name, "");
  std::lock_guard lock(mutex_);
  if (prefix.ok()) return default_ids_[std::string(namespace_name)] = prefix->prefix_id;
  const auto known = default_ids_.find(namespace_name);
  if (absl::IsUnavailable(prefix.status()) && known != default_ids_.end()) return known->second;
  return prefix.status();
}

absl::StatusOr<PrefixSpec> PrefixContexts::WithTemplateTime(std::string_view namespace_name,
                                                            PrefixSpec spec) {
  if (spec.template_time != absl::Time()) return spec;
  spec.template_time = runtime_.clock->Now();
  const auto prefixes = runtime_.catalog->ListPrefixes(namespace_name);
  if (absl::IsNotFound(prefixes.status())) return spec;
  CACHECLIP_RETURN_IF_ERROR(prefixes.status());
  for (const Prefix& prefix : *prefixes)
    if (SameTexts(prefix, spec) && CheckFingerprints(runtime_, prefix).ok())
      spec.template_time = prefix.template_time;
  return spec;
}

}  // namespace cacheclip
