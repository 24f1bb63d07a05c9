#include "tests/support/other_tokenizers.h"

#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace cacheclip {
namespace {

using nlohmann::json;

constexpr const char* kControlTokens[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};

// Words and pieces of words of several scripts. Lower case without accents: what BERT's normaliser leaves;
// for SentencePiece, capitals and accents are spelled with smaller pieces.
constexpr const char* kWords[] = {
    "the",     "and",  "of",    "in",      "is",     "was", "to",   "a",    "who",   "where",   "keep",
    "light",   "ship", "house", "harbour", "winter", "sea", "year", "ing",  "er",    "ed",      "s",
    "der",     "und",  "die",   "hafen",   "le",     "la",  "cafe", "est",  "naive", "strasse", "cua",
    "viet",    "nam",  "маяк",  "море",    "порт",   "и",   "на",   "灯塔", "海",    "港",      "船",
    "المنارة", "في",   "ال",    "नमस्ते",    "समुद्र",   "में",   "है",    "등대", "바다"};
// Single characters beside ASCII. Others are unknown, or bytes.
constexpr const char* kCharacters[] = {"é",  "ü",  "ö",  "ß",  "м", "о", "р",   "е",  "а",
                                       "ا",  "ل",  "م",  "ن",  "न", "म", "स",   "灯", "塔",
                                       "は", "に", "の", "。", "¿", "€", "🙂"};

json ControlTokens() {
  json tokens = json::array();
  for (const char* content : kControlTokens)
    tokens.push_back({{"id", tokens.size()},
                      {"content", content},
                      {"single_word", false},
                      {"lstrip", false},
                      {"rstrip", false},
                      {"normalized", false},
                      {"special", true}});
  return tokens;
}

std::vector<std::string> PrintableAscii() {
  std::vector<std::string> characters;
  for (char c = '!'; c <= '~'; ++c) characters.emplace_back(1, c);
  return characters;
}

void Write(const std::string& directory, json tokenizer) {
  tokenizer["version"] = "1.0";
  tokenizer["truncation"] = tokenizer["padding"] = tokenizer["post_processor"] = nullptr;
  tokenizer["added_tokens"] = ControlTokens();
  std::ofstream(directory + "/tokenizer.json") << tokenizer.dump();
}

}  // namespace

void MakeSentencePieceTokenizer(const std::string& directory) {
  constexpr const char* kSpace = "\u2581";
  json vocabulary = json::array();
  const auto add = [&](const std::string& piece, double score) { vocabulary.push_back({piece, score}); };
  for (const char* token : kControlTokens) add(token, 0);
  add("<unk>", 0);
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
    add(name, -20);
  }
  add(kSpace, -8);
  for (const std::string& character : PrintableAscii()) add(character, -10);
  for (const char* character : kCharacters) add(character, -11);
  for (const std::string_view word : kWords) {
    add(kSpace + std::string(word), -8);
    if (word.size() > 1) add(std::string(word), -9);  // the shortest are characters already
  }
  const json space = {
      {"type", "Metaspace"}, {"replacement", kSpace}, {"prepend_scheme", "first"}, {"split", true}};
  Write(directory,
        {{"normalizer", {{"type", "NFKC"}}},
         {"pre_tokenizer", space},
         {"decoder", space},
         {"model", {{"type", "Unigram"}, {"unk_id", 3}, {"byte_fallback", true}, {"vocab", vocabulary}}}});
}

void MakeWordPieceTokenizer(const std::string& directory) {
  json vocabulary = json::object();
  const auto add = [&](const std::string& piece) { vocabulary.emplace(piece, vocabulary.size()); };
  for (const char* token : kControlTokens) add(token);
  add("[UNK]");
  const auto add_both = [&](const std::string& piece) {
    add(piece);
    add("##" + piece);
  };
  for (const std::string& character : PrintableAscii()) add_both(character);
  for (const char* character : kCharacters) add_both(character);
  for (const char* word : kWords) add_both(word);
  Write(directory, {{"normalizer",
                     {{"type", "BertNormalizer"},
                      {"clean_text", true},
                      {"handle_chinese_chars", true},
                      {"strip_accents", true},
                      {"lowercase", true}}},
                    {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
                    {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
                    {"model",
                     {{"type", "WordPiece"},
                      {"unk_token", "[UNK]"},
                      {"continuing_subword_prefix", "##"},
                      {"max_input_chars_per_word", 100},
                      {"vocab", vocabulary}}}});
}

}  // namespace cacheclip
