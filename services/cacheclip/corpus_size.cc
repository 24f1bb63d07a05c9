#include "services/cacheclip/corpus_size.h"

#include <algorithm>

#include "common/base/status.h"
#include "services/cacheclip/documents/document_set.h"

namespace cacheclip {
namespace {

absl::StatusOr<int64_t> CountTokens(const std::string& text, const Tokenizer* tokenizer) {
  if (tokenizer == nullptr || text.size() > kMaxEncodeBytes)
    return std::max<int64_t>(1, static_cast<int64_t>(text.size()) / kEstimatedBytesPerToken);
  CACHECLIP_ASSIGN_OR_RETURN(const Encoding encoding,
                             tokenizer->Encode(text, Tokenizer::SpecialTokens::kAsText));
  return std::max<int64_t>(1, static_cast<int64_t>(encoding.ids.size()));
}

}  // namespace

absl::StatusOr<CorpusSize> MeasureCorpus(const std::vector<std::string>& paths, const Tokenizer* tokenizer) {
  CACHECLIP_ASSIGN_OR_RETURN(const DocumentSet documents, DocumentSet::Open(paths));
  CorpusSize size;
  for (int64_t i = 0; i < documents.size(); ++i) {
    const absl::StatusOr<SourceDocument> document = documents.Read(i);
    if (!document.ok()) {
      size.errors.emplace_back(document.status().message());
      continue;
    }
    CACHECLIP_ASSIGN_OR_RETURN(const int64_t tokens, CountTokens(document->text, tokenizer));
    ++size.documents;
    size.tokens += tokens;
  }
  return size;
}

}  // namespace cacheclip
