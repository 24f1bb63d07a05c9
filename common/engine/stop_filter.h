// Ends an answer at the first stop string, wherever token borders fall: text that may turn out to be the
// start of a stop string is held back until the next text decides. What Push() returns is final and never
// contains any part of the stop string that ended the answer.
//
//   StopFilter filter({"\n\n", "END"});
//   send(filter.Push("text"));  if (filter.stopped()) …  otherwise, at the end: send(filter.Flush());
//
// One answer, one thread. Holds back fewer bytes than the longest stop string has.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cacheclip {

class StopFilter {
 public:
  explicit StopFilter(std::vector<std::string> stop_strings);  // none of them empty

  std::string Push(std::string_view text);  // the text that became final; "" once stopped
  std::string Flush();                      // what is held back
  bool stopped() const { return stopped_; }

 private:
  size_t FirstStop() const;       // where in held_ the first stop string begins; npos if there is none
  size_t UndecidedBytes() const;  // the longest end of held_ that begins a stop string

  std::vector<std::string> stop_strings_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace cacheclip
