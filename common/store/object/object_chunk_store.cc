#include "common/store/object/object_chunk_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/store/object/object_budget.h"
#include "common/store/object/object_fetcher.h"
#include "common/store/object/object_names.h"
#include "common/store/object/object_pins.h"

namespace cacheclip {
namespace {

absl::Status ValidateOptions(const ObjectChunkStoreOptions& options) {
  const std::pair<const char*, int64_t> positive[] = {
      {"max_bytes", options.max_bytes},
      {"max_objects", options.max_objects},
      {"max_chunk_bytes", options.max_chunk_bytes},
      {"max_fetching_bytes", options.max_fetching_bytes},
      {"first_read_bytes", options.first_read_bytes - 191},
      {"range_bytes", options.range_bytes},
      {"put_bytes_per_second", options.put_bytes_per_second},
      {"num_fetch_threads", options.num_fetch_threads},
      {"max_threads_per_chunk", options.max_threads_per_chunk},
      {"max_queued_chunks", options.max_queued_chunks}};
  for (const auto& [name, value] : positive)
    if (value < 1) return InvalidField(name, "is too small");
  return absl::OkStatus();
}

}  // namespace

ObjectChunkStore::ObjectChunkStore(std::unique_ptr<ObjectClient> client, ObjectChunkStoreOptions options)
    : options_(std::move(options)), client_(std::move(client)) {
  pins_ = std::make_unique<ObjectPins>(client_.get(), options_.clock);
  budget_ = std::make_unique<ObjectBudget>(client_.get(), pins_.get(),
                                           ObjectLimits{options_.max_bytes, options_.max_objects});
  ObjectFetcherOptions fetching{.max_chunk_bytes = options_.max_chunk_bytes,
                                .max_fetching_bytes = options_.max_fetching_bytes,
                                .first_read_bytes = options_.first_read_bytes,
                                .range_bytes = options_.range_bytes,
                                .num_threads = options_.num_fetch_threads,
                                .max_threads_per_chunk = options_.max_threads_per_chunk,
                                .max_queued_chunks = options_.max_queued_chunks,
                                .clock = options_.clock};
  fetching.on_damaged = [this](const ChunkKey& key, const absl::Status& reason) { DropDamaged(key, reason); };
  fetcher_ = std::make_unique<ObjectFetcher>(client_.get(), std::move(fetching));
}

ObjectChunkStore::~ObjectChunkStore() = default;

absl::StatusOr<std::unique_ptr<ObjectChunkStore>> ObjectChunkStore::Create(
    std::unique_ptr<ObjectClient> client, ObjectChunkStoreOptions options) {
  CACHECLIP_RETURN_IF_ERROR(ValidateOptions(options));
  return std::unique_ptr<ObjectChunkStore>(new ObjectChunkStore(std::move(client), std::move(options)));
}

CancellationToken ObjectChunkStore::Token(int64_t put_bytes) const {
  const absl::Duration for_bytes = absl::Seconds(put_bytes / options_.put_bytes_per_second);
  return CancellationToken(options_.clock->Now() + options_.operation_timeout + for_bytes, {},
                           options_.clock);
}

absl::Status ObjectChunkStore::Probe(absl::Time deadline) {
  return client_->List(kChunkObjectsPrefix, "", 1, CancellationToken(deadline, {}, options_.clock)).status();
}

absl::StatusOr<StoreHit> ObjectChunkStore::Get(const ChunkKey& key, const GetOptions& options) {
  const absl::Duration limit = std::min(options.deadline - options_.clock->Now(), options_.get_timeout);
  if (limit <= absl::ZeroDuration()) return absl::DeadlineExceededError("the deadline has passed already");
  const absl::Time real_deadline = absl::Now() + limit;  // waiting happens in real time
  auto opened = fetcher_->Fetch(key, limit, options.changes_nothing);
  if (absl::IsNotFound(opened.status())) ++misses_;
  if (!opened.ok()) return opened.status();
  if (opened->arrival->WaitForAll(absl::InfinitePast()).ok()) {
    opened->arrival = nullptr;
  } else if (!options.accept_arriving) {
    const absl::Status arrived = opened->arrival->WaitForAll(real_deadline);
    if (!arrived.ok()) {
      opened->arrival->Abandon();
      return arrived;
    }
    opened->arrival = nullptr;
  }
  ++hits_;
  return StoreHit{std::move(opened->chunk), Tier::kObject, std::move(opened->arrival)};
}

void ObjectChunkStore::DropDamaged(const ChunkKey& key, const absl::Status& reason) {
  ++corrupt_;
  CACHECLIP_LOG(Warning) << "object store: deletes " << ChunkObjectName(key) << " of " << client_->url()
                         << ": " << reason.message();
  const absl::Status removed = budget_->Remove(key, Token());
  if (!removed.ok()) {
    CACHECLIP_LOG(Warning) << "object store: not deleted: " << removed.message();
  }
}

absl::Status ObjectChunkStore::Put(std::shared_ptr<const EncodedChunk> chunk) {
  absl::Status status = WriteChunk(*chunk);
  if (absl::IsResourceExhausted(status)) ++rejected_puts_;
  return status;
}

absl::Status ObjectChunkStore::WriteChunk(const EncodedChunk& chunk) {
  const CancellationToken token = Token(chunk.total_bytes());
  const std::string name = ChunkObjectName(chunk.key());
  for (bool is_reserved = false; !is_reserved;) {
    const auto present = client_->Head(name, token);  // a look costs less than an upload that is refused
    if (present.ok()) return absl::OkStatus();
    if (!absl::IsNotFound(present.status())) return present.status();
    CACHECLIP_ASSIGN_OR_RETURN(is_reserved, budget_->Reserve(chunk.key(), chunk.total_bytes(), token));
  }
  absl::Status status = client_->Put(name, chunk.image(), PutMode::kIfAbsent, token);
  // Content addresses its object: where the place cannot decide, replacing writes the same bytes again.
  if (absl::IsUnimplemented(status)) status = client_->Put(name, chunk.image(), PutMode::kReplace, token);
  if (!status.ok()) {
    budget_->Cancel(chunk.key());
    return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
  }
  budget_->Commit(chunk.key());
  ++puts_;
  return absl::OkStatus();
}

absl::Status ObjectChunkStore::Delete(const ChunkKey& key) { return budget_->Remove(key, Token()); }

absl::StatusOr<bool> ObjectChunkStore::Contains(const ChunkKey& key) {
  const auto info = client_->Head(ChunkObjectName(key), Token());
  if (info.ok()) return true;
  if (absl::IsNotFound(info.status())) return false;
  return info.status();
}

void ObjectChunkStore::MarkUsed(const ChunkKey& key) { client_->MarkUsed(ChunkObjectName(key), Token()); }

bool ObjectChunkStore::HasRoomFor(int64_t bytes) const { return budget_->Fits(bytes); }

absl::Status ObjectChunkStore::Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry) {
  CACHECLIP_RETURN_IF_ERROR(ValidatePin(owner, expiry, options_.clock->Now()));
  const CancellationToken token = Token();
  CACHECLIP_RETURN_IF_ERROR(client_->Head(ChunkObjectName(key), token).status());
  return pins_->Pin(key, owner, expiry, token);
}

absl::Status ObjectChunkStore::Unpin(const ChunkKey& key, std::string_view owner) {
  return pins_->Unpin(key, owner, Token());
}

StoreStats ObjectChunkStore::stats() const {
  const ObjectBudget::Usage usage = budget_->usage();
  return {.hits = hits_,
          .misses = misses_,
          .puts = puts_,
          .evictions = budget_->evictions(),
          .corrupt = corrupt_,
          .rejected_puts = rejected_puts_,
          .bytes = usage.bytes,
          .objects = usage.objects};
}

// A listing of a large place takes longer than one operation may: each page has its own limit in the client.
absl::Status ObjectChunkStore::ForEach(const Visitor& visitor) {
  return budget_->ForEach(visitor, CancellationToken(absl::InfiniteFuture(), {}, options_.clock));
}

}  // namespace cacheclip
