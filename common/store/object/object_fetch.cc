#include "common/store/object/object_fetch.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "common/kv/chunk_format.h"
#include "common/store/object/object_names.h"

namespace cacheclip {

ObjectFetch::ObjectFetch(ObjectClient* client, const ChunkKey& key, absl::Time deadline, Clock* clock,
                         std::function<bool()> is_stopping, ObjectFetchOptions options)
    : client_(*client),
      key_(key),
      name_(ChunkObjectName(key)),
      is_stopping_(std::move(is_stopping)),
      options_(std::move(options)),
      token_(
          deadline, [this] { return IsCancelled(); }, clock) {}

ObjectFetch::~ObjectFetch() { End(absl::UnavailableError("the fetch was dropped")); }

bool ObjectFetch::IsCancelled() const {
  if (is_stopping_()) return true;
  std::lock_guard lock(mutex_);
  if (is_given_up_ || is_ending_) return true;
  return is_opened_ && assembler_ != nullptr && assembler_->arrival()->IsAbandoned();
}

void ObjectFetch::Open() {
  absl::Status status = OpenOnce();
  if (absl::IsDataLoss(status)) status = OpenOnce();  // broken on the way, or for good?
  if (!status.ok()) return End(status);
  if (options_.notes_use)
    client_.MarkUsed(name_, token_);  // before the hit is seen, so that it counts for the next eviction
  bool is_complete = false;
  {
    std::lock_guard lock(mutex_);
    is_opened_ = true;
    is_complete = ranges_.empty();
  }
  opened_.notify_all();
  if (is_complete) End(absl::OkStatus());
}

absl::Status ObjectFetch::OpenOnce() {
  std::vector<std::byte> front(options_.first_read_bytes);
  CACHECLIP_ASSIGN_OR_RETURN(ObjectRead read, client_.Read(name_, 0, front, token_));
  front.resize(read.num_bytes);
  if (read.num_bytes < kChunkFixedHeaderBytes)
    return absl::DataLossError(absl::StrCat("an object of ", read.object_bytes, " bytes is no chunk"));
  CACHECLIP_ASSIGN_OR_RETURN(const int64_t header_bytes, ParseChunkHeaderBytes(front));
  if (header_bytes > read.num_bytes) {
    front.resize(header_bytes);
    CACHECLIP_ASSIGN_OR_RETURN(
        const ObjectRead rest,
        client_.Read(name_, read.num_bytes, std::span(front).subspan(read.num_bytes), token_));
    if (read.num_bytes + rest.num_bytes < header_bytes)
      return absl::DataLossError(absl::StrCat("cut off in the header, after ", read.object_bytes, " bytes"));
  }
  CACHECLIP_ASSIGN_OR_RETURN(const ChunkPreamble preamble, ParseChunkPreamble(front));
  if (preamble.total_bytes != read.object_bytes)
    return absl::DataLossError(
        absl::StrCat("the object has ", read.object_bytes, " bytes, its header says ", preamble.total_bytes));
  if (preamble.total_bytes > options_.max_chunk_bytes)
    return absl::ResourceExhaustedError(absl::StrCat("a chunk of ", preamble.total_bytes,
                                                     " bytes is larger than ", options_.max_chunk_bytes));
  if (reserved_bytes_ == 0) {
    CACHECLIP_RETURN_IF_ERROR(options_.reserve(preamble.total_bytes));
    reserved_bytes_ = preamble.total_bytes;
  }
  return TakeFront(front);
}

// Starts the image with the bytes that came with the header.
absl::Status ObjectFetch::TakeFront(std::span<const std::byte> front) {
  CACHECLIP_ASSIGN_OR_RETURN(std::unique_ptr<ChunkAssembler> assembler, ChunkAssembler::Start(front, key_));
  size_t num_slices = 0;
  for (; num_slices < assembler->num_slices(); ++num_slices) {
    const ChunkSlice& slice = assembler->slice(num_slices);
    if (slice.offset + slice.num_bytes > static_cast<int64_t>(front.size())) break;
    std::memcpy(assembler->SliceSpace(num_slices).data(), front.data() + slice.offset, slice.num_bytes);
  }
  CACHECLIP_RETURN_IF_ERROR(assembler->FinishSlices(num_slices));
  {
    std::lock_guard lock(mutex_);
    assembler_ = std::move(assembler);
  }
  PlanRanges(num_slices);
  return absl::OkStatus();
}

// The first range ends with its layer, so that this layer comes soon; the others take whole layers, up to
// about range_bytes.
void ObjectFetch::PlanRanges(size_t first_slice) {
  ranges_.clear();
  const size_t num_slices = assembler_->num_slices();
  for (size_t begin = first_slice; begin < num_slices;) {
    int64_t bytes = 0;
    size_t end = begin;
    while (end < num_slices) {
      const bool starts_layer =
          end > begin && assembler_->slice(end).layer != assembler_->slice(end - 1).layer;
      if (starts_layer && (ranges_.empty() || bytes >= options_.range_bytes)) break;
      bytes += assembler_->slice(end).num_bytes;
      ++end;
    }
    ranges_.push_back({begin, end});
    begin = end;
  }
}

void ObjectFetch::ReadRanges() {
  size_t index = 0;
  while (TakeRange(index)) {
    if (const absl::Status status = ReadRange(ranges_[index]); !status.ok()) return End(status);
    FinishRange(index);
  }
}

bool ObjectFetch::TakeRange(size_t& index) {
  std::lock_guard lock(mutex_);
  if (is_ending_ || next_range_ == ranges_.size()) return false;
  index = next_range_++;
  return true;
}

absl::Status ObjectFetch::ReadRange(const Range& range) {
  const std::span<std::byte> space = assembler_->SlicesSpace(range.begin, range.end);
  for (int attempt = 0; attempt < 2; ++attempt) {
    CACHECLIP_ASSIGN_OR_RETURN(const ObjectRead read,
                               client_.Read(name_, assembler_->slice(range.begin).offset, space, token_));
    if (read.num_bytes < static_cast<int64_t>(space.size()))
      return absl::DataLossError(absl::StrCat("the object has shrunk to ", read.object_bytes, " bytes"));
    if (HoldsChecksums(range)) return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat("a checksum in layer ", assembler_->slice(range.begin).layer,
                                          " or behind it does not hold"));
}

bool ObjectFetch::HoldsChecksums(const Range& range) const {
  for (size_t i = range.begin; i < range.end; ++i) {
    const std::span<const std::byte> bytes = assembler_->SliceSpace(i);
    if (Checksum64(bytes.data(), bytes.size()) != assembler_->slice(i).checksum) return false;
  }
  return true;
}

void ObjectFetch::FinishRange(size_t index) {
  absl::Status status;
  bool is_complete = false;
  {
    std::lock_guard lock(mutex_);
    ranges_[index].is_done = true;
    while (status.ok() && num_finished_ranges_ < ranges_.size() && ranges_[num_finished_ranges_].is_done)
      status = assembler_->FinishSlices(ranges_[num_finished_ranges_++].end);
    is_complete = num_finished_ranges_ == ranges_.size();
  }
  if (!status.ok() || is_complete) End(status);
}

void ObjectFetch::Fail(const absl::Status& status) { End(status); }

void ObjectFetch::End(const absl::Status& status) {
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(is_ending_, true)) return;
  }
  // Before anybody hears of it: who is told that the object was damaged finds it deleted.
  if (absl::IsDataLoss(status)) options_.on_damaged(status);
  if (reserved_bytes_ > 0) options_.release(reserved_bytes_);
  std::shared_ptr<ChunkArrival> arrival;
  {
    std::lock_guard lock(mutex_);
    has_ended_ = true;
    failure_ = status;
    if (assembler_ != nullptr) arrival = assembler_->arrival();
  }
  opened_.notify_all();
  if (arrival != nullptr && !status.ok()) arrival->Fail(status);
}

absl::StatusOr<ObjectFetch::Opened> ObjectFetch::WaitForHeader(absl::Time deadline) {
  std::unique_lock lock(mutex_);
  const bool is_decided =
      opened_.wait_until(lock, absl::ToChronoTime(deadline), [&] { return is_opened_ || has_ended_; });
  if (is_opened_) return Opened{assembler_->chunk(), assembler_->arrival()};
  if (is_decided) return failure_;
  is_given_up_ = true;
  return absl::DeadlineExceededError(absl::StrCat("the header of ", name_, " has not come in time"));
}

}  // namespace cacheclip
