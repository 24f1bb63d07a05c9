// Progress on stderr: one line that is rewritten on a terminal, plain lines elsewhere. And the one JSON
// object on stdout. One thread.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/time/time.h"

namespace cacheclip {

class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine();  // ends the line

  // "label [#####     ] 5/10, 3 min left". Without a terminal only the last step of a label is written.
  void Update(const std::string& label, int64_t done, int64_t total);
  void Message(const std::string& text);  // a line of its own

 private:
  void Clear();
  std::string TimeLeft(const std::string& label, int64_t done, int64_t total);
  const bool is_terminal_;
  bool dirty_ = false;
  std::string label_;  // what `begin_time_` is about
  absl::Time begin_time_;
  int64_t begin_done_ = 0;
};

// How long the rest takes at the rate so far: "45 s", "3 min", "2.5 h"; "" as long as nobody can tell.
std::string EstimateTimeLeft(absl::Duration elapsed, int64_t done, int64_t left);

// Text that is not UTF-8 is shown with replacement characters.
void PrintJson(const nlohmann::json& object);

}  // namespace cacheclip
