#include "services/cacheclip/console.h"

#include <algorithm>
#include <cstdio>

#include <unistd.h>

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
  std::fprintf(stderr, "\r\033[K%s [%s] %lld/%lld", label.c_str(), bar.c_str(), (long long)done,
               (long long)total);
  std::fflush(stderr);
  dirty_ = true;
}

void ProgressLine::Message(const std::string& text) {
  Clear();
  std::fprintf(stderr, "%s\n", text.c_str());
}

void PrintJson(const nlohmann::json& object) {
  std::printf("%s\n", object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace cacheclip
