#include "common/text/piece_encoder.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/text/white_space.h"

namespace cacheclip {

// Ordinary text up to a control token (or the end).
struct PieceEncoder::Run {
  struct MessageText {
    TokenSpan span;  // bytes of `text`
    int message_index;
  };
  std::string text;
  std::vector<MessageText> message_texts;
  const AddedToken* control = nullptr;  // follows the text
};

PieceEncoder::PieceEncoder(const Tokenizer* tokenizer) : tokenizer_(tokenizer) {
  for (const AddedToken& token : tokenizer_->added_tokens()) {
    if (token.is_control && !token.content.empty())
      by_first_byte_[static_cast<uint8_t>(token.content[0])].push_back(token);
  }
  const auto longer = [](const AddedToken& a, const AddedToken& b) {
    return a.content.size() > b.content.size();
  };
  for (std::vector<AddedToken>& tokens : by_first_byte_) std::ranges::stable_sort(tokens, longer);
}

const AddedToken* PieceEncoder::ControlTokenAt(std::string_view text) const {
  for (const AddedToken& token : by_first_byte_[static_cast<uint8_t>(text[0])]) {
    if (text.starts_with(token.content)) return &token;
  }
  return nullptr;
}

void PieceEncoder::AppendTemplate(std::string_view text, std::vector<Run>& runs) const {
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const AddedToken* control = ControlTokenAt(text.substr(at));
    if (control == nullptr) {
      ++at;
      continue;
    }
    runs.back().text.append(text.substr(begin, at - begin));
    runs.back().control = control;
    runs.emplace_back();
    begin = at += control->content.size();
  }
  runs.back().text.append(text.substr(begin));
}

absl::StatusOr<EncodedPieces> PieceEncoder::Encode(std::span<const PromptPiece> pieces,
                                                   Tokenizer::TextStart start) const {
  std::vector<Run> runs(1);
  for (const PromptPiece& piece : pieces) {
    if (piece.author == PromptPiece::Author::kTemplate) {
      AppendTemplate(piece.text, runs);
      continue;
    }
    const uint32_t begin = static_cast<uint32_t>(runs.back().text.size());
    runs.back().text.append(piece.text);
    const uint32_t end = static_cast<uint32_t>(runs.back().text.size());
    runs.back().message_texts.push_back({{begin, end}, piece.message_index});
  }
  EncodedPieces encoded;
  const AddedToken* previous = nullptr;
  for (Run& run : runs) {
    if (run.control != nullptr && run.control->strips_left)
      run.text.resize(run.text.size() - TrailingSpaceBytes(run.text));
    if (previous != nullptr && previous->strips_right) {
      const uint32_t stripped = static_cast<uint32_t>(LeadingSpaceBytes(run.text));
      run.text.erase(0, stripped);
      for (auto& [span, message_index] : run.message_texts)
        span = {span.begin - std::min(span.begin, stripped), span.end - std::min(span.end, stripped)};
    }
    CACHECLIP_RETURN_IF_ERROR(EncodeRun(run, start, encoded));
    if (run.control != nullptr) {
      encoded.ids.push_back(run.control->id);
      encoded.message_index.push_back(-1);
    }
    previous = run.control;
    start = Tokenizer::TextStart::kContinuation;
  }
  return encoded;
}

absl::Status PieceEncoder::EncodeRun(const Run& run, Tokenizer::TextStart start, EncodedPieces& out) const {
  if (run.text.empty()) return absl::OkStatus();
  CACHECLIP_ASSIGN_OR_RETURN(const Encoding encoding,
                             tokenizer_->Encode(run.text, Tokenizer::SpecialTokens::kAsText, start));
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    const TokenSpan token = encoding.spans[i];
    int message_index = -1;
    for (const auto& [span, index] : run.message_texts) {
      if (std::max(token.begin, span.begin) < std::min(token.end, span.end)) message_index = index;
    }
    out.ids.push_back(encoding.ids[i]);
    out.message_index.push_back(message_index);
  }
  return absl::OkStatus();
}

}  // namespace cacheclip
