#include "common/store/remote/byte_budget.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace cacheclip {
namespace {

constexpr absl::Duration kLongestWait = absl::Hours(24);  // for callers without a deadline

}  // namespace

ByteBudget::Reservation::~Reservation() {
  if (budget_ == nullptr) return;
  {
    std::lock_guard lock(budget_->mutex_);
    budget_->reserved_bytes_ -= bytes_;
  }
  budget_->freed_.notify_all();
}

absl::StatusOr<ByteBudget::Reservation> ByteBudget::Reserve(int64_t bytes, absl::Time deadline) {
  std::unique_lock lock(mutex_);
  const auto fits = [&] { return reserved_bytes_ == 0 || reserved_bytes_ + bytes <= max_bytes_; };
  const absl::Time until = std::min(deadline, absl::Now() + kLongestWait);
  if (!freed_.wait_until(lock, absl::ToChronoTime(until), fits))
    return absl::DeadlineExceededError(absl::StrCat("no room for ", bytes, " bytes on their way in: ",
                                                    reserved_bytes_, " of ", max_bytes_, " are taken"));
  reserved_bytes_ += bytes;
  return Reservation(this, bytes);
}

int64_t ByteBudget::reserved_bytes() const {
  std::lock_guard lock(mutex_);
  return reserved_bytes_;
}

}  // namespace cacheclip
