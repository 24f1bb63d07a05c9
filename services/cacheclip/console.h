// Progress on stderr: one line that is rewritten on a terminal, plain lines elsewhere. And the one JSON
// object on stdout. One thread.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace cacheclip {

class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine();  // ends the line

  // "label [#####     ] 5/10". Without a terminal only the last step of a label is written.
  void Update(const std::string& label, int64_t done, int64_t total);
  void Message(const std::string& text);  // a line of its own

 private:
  void Clear();
  const bool is_terminal_;
  bool dirty_ = false;
};

// Text that is not UTF-8 is shown with replacement characters.
void PrintJson(const nlohmann::json& object);

}  // namespace cacheclip
