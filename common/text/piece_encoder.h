// Prompt pieces to token ids. Control tokens are looked for in the template's pieces alone; everything
// between two of them is one run of ordinary text, tokenised together (a template's newline and the word
// after it may share a token, as when `transformers` tokenises the whole text), with control tokens inside it
// left as characters.
//
//   PieceEncoder encoder(tokenizer);
//   encoder.Encode(pieces, Tokenizer::TextStart::kBeginning)
//
// Concurrency: immutable. Does not own the tokenizer.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/text/prompt_pieces.h"
#include "common/text/tokenizer.h"

namespace cacheclip {

struct EncodedPieces {
  std::vector<int32_t> ids;
  std::vector<int>
      message_index;  // per id: the message whose text it (partly) is, the later one if two; -1: none
};

class PieceEncoder {
 public:
  explicit PieceEncoder(const Tokenizer* tokenizer);

  // `start`: whether the first piece begins the prompt. Pieces of the chunks have no text and end no run: cut
  // there first.
  absl::StatusOr<EncodedPieces> Encode(std::span<const PromptPiece> pieces, Tokenizer::TextStart start) const;

 private:
  struct Run;
  const AddedToken* ControlTokenAt(std::string_view text) const;
  void AppendTemplate(std::string_view text, std::vector<Run>& runs) const;
  absl::Status EncodeRun(const Run& run, Tokenizer::TextStart start, EncodedPieces& out) const;

  const Tokenizer* tokenizer_;
  std::array<std::vector<AddedToken>, 256> by_first_byte_;  // control tokens, longest first
};

}  // namespace cacheclip
