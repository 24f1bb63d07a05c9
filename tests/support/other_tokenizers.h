// Tokenizers that cut text in other ways than the tiny chat tokenizer (byte-level BPE): the kinds that an
// auxiliary model of another family brings along. Small vocabularies, made up here; each is written over the
// tokenizer.json of a folder that WriteTinyModel() made and keeps its control tokens. Functions only.
#pragma once

#include <string>

namespace cacheclip {

// As SentencePiece's: Unigram over NFKC text whose spaces are pieces, unknown characters as bytes.
void MakeSentencePieceTokenizer(const std::string& directory);

// As BERT's: WordPiece over lower-cased words without accents; white space belongs to no token, and a word
// with a character that the vocabulary lacks is one unknown token.
void MakeWordPieceTokenizer(const std::string& directory);

}  // namespace cacheclip
