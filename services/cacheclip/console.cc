#include "services/cacheclip/console.h"

#include <algorithm>
#include <cstdio>

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace cacheclip {
namespace {

constexpr int kBarWidth = 24;

}  // namespace

ProgressLine::ProgressLine() : is_terminal_(isatty(STDERR_FILENO) == 1) {}
ProgressLine::~ProgressLine() { Clear(); }

void ProgressLine::Clear() {
  if (dirty_) std::fputs("\r\033[K", stderr);
  dirty_ = false;
}

void ProgressLine::Update(const std::string& label, int64_t done, int64_t total) {
  if (!is_terminal_) {
    if (done == total)
      std::fprintf(stderr, "%s %lld/%lld\n", label.c_str(), (long long)done, (long long)total);
    return;
  }
  const int filled =
      total > 0 ? static_cast<int>(std::min<int64_t>(kBarWidth, done * kBarWidth / total)) : kBarWidth;
  const std::string bar = std::string(filled, '#') + std::string(kBarWidth - filled, ' ');
  std::fprintf(stderr, "\r\033[K%s [%s] %lld/%lld%s", label.c_str(), bar.c_str(), (long long)done,
               (long long)total, TimeLeft(label, done, total).c_str());
  std::fflush(stderr);
  dirty_ = true;
}

std::string ProgressLine::TimeLeft(const std::string& label, int64_t done, int64_t total) {
  if (label != label_) {
    label_ = label;
    begin_time_ = absl::Now();
    begin_done_ = done;
  }
  const std::string left = EstimateTimeLeft(absl::Now() - begin_time_, done - begin_done_, total - done);
  return left.empty() ? "" : absl::StrCat(", ", left, " left");
}

std::string EstimateTimeLeft(absl::Duration elapsed, int64_t done, int64_t left) {
  if (done <= 0 || left <= 0 || elapsed < absl::Seconds(2)) return "";
  const double seconds =
      absl::ToDoubleSeconds(elapsed) / static_cast<double>(done) * static_cast<double>(left);
  if (seconds < 90) return absl::StrCat(static_cast<int64_t>(seconds + 0.5), " s");
  if (seconds < 90 * 60) return absl::StrCat(static_cast<int64_t>(seconds / 60 + 0.5), " min");
  return absl::StrFormat("%.1f h", seconds / 3600);
}

void ProgressLine::Message(const std::string& text) {
  Clear();
  std::fprintf(stderr, "%s\n", text.c_str());
}

void PrintJson(const nlohmann::json& object) {
  std::printf("%s\n", object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace cacheclip
