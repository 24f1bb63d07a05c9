#include "common/engine/stop_filter.h"

#include <algorithm>
#include <utility>

namespace cacheclip {

StopFilter::StopFilter(std::vector<std::string> stop_strings) : stop_strings_(std::move(stop_strings)) {}

std::string StopFilter::Push(std::string_view text) {
  if (stopped_) return "";
  held_ += text;
  const size_t stop = FirstStop();
  stopped_ = stop != std::string::npos;
  std::string final_text = held_.substr(0, stopped_ ? stop : held_.size() - UndecidedBytes());
  held_ = stopped_ ? "" : held_.substr(final_text.size());
  return final_text;
}

std::string StopFilter::Flush() { return std::exchange(held_, ""); }

size_t StopFilter::FirstStop() const {
  size_t first = std::string::npos;
  for (const std::string& stop : stop_strings_) first = std::min(first, held_.find(stop));
  return first;
}

size_t StopFilter::UndecidedBytes() const {
  size_t longest = 0;
  for (const std::string& stop : stop_strings_) {
    for (size_t length = std::min(stop.size() - 1, held_.size()); length > longest; --length)
      if (held_.ends_with(std::string_view(stop).substr(0, length))) longest = length;
  }
  return longest;
}

}  // namespace cacheclip
