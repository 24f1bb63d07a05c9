// What every catalogue must do. A test executable lists catalog_contract_documents.cc and
// catalog_contract_lifetime.cc among its sources and instantiates the suite once per twin, with a factory
// that gets the clock:
//   INSTANTIATE_TEST_SUITE_P(InMemory, CatalogContract, testing::Values(CatalogFactory(MakeIt)));
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/catalog/catalog.h"

namespace cacheclip {

// 64 hex digits that begin with `number`.
inline std::string TestChunkId(int number) {
  std::string digits = absl::StrCat(absl::Hex(number, absl::kZeroPad8));
  return digits + std::string(64 - digits.size(), 'a');
}

inline Prefix TestPrefix(const std::string& namespace_name, const std::string& prefix_id = "abc123") {
  return {.namespace_name = namespace_name,
          .prefix_id = prefix_id,
          .system_prompt = "You answer from the documents.",
          .instruction = "Be brief.",
          .placement = "system",
          .separator = "\n\n",
          .template_time = absl::FromUnixSeconds(1'700'000'000),
          .model_fingerprint = std::string(64, '1'),
          .tokenizer_fingerprint = std::string(64, '2'),
          .token_ids = {1, -2, 300'000},
          .is_default = true};
}

struct TestDocument {
  Document document;
  std::vector<ChunkRecord> chunks;
};

// A document that uses the chunks of these numbers, in order; a number may occur twice.
inline TestDocument MakeTestDocument(const std::string& namespace_name, const std::string& document_id,
                                     const std::vector<int>& chunk_numbers) {
  TestDocument result{.document = {.namespace_name = namespace_name,
                                   .document_id = document_id,
                                   .title = "title of " + document_id,
                                   .content_digest = "digest",
                                   .metadata_json = R"({"a": 1})",
                                   .prefix_id = "abc123",
                                   .writer_version = "1.0"}};
  int64_t begin_byte = 0;
  for (const int number : chunk_numbers) {
    result.document.chunks.push_back({TestChunkId(number), begin_byte, begin_byte + 100});
    begin_byte += 100;
    result.chunks.push_back({.namespace_name = namespace_name,
                             .chunk_id = TestChunkId(number),
                             .prefix_id = "abc123",
                             .title = "heading",
                             .text = absl::StrCat("text of chunk ", number),
                             .num_tokens = 10 + number});
  }
  return result;
}

using CatalogFactory = std::function<std::unique_ptr<Catalog>(const Clock*)>;

class CatalogContract : public testing::TestWithParam<CatalogFactory> {
 protected:
  CatalogContract() : catalog_(GetParam()(&clock_)) {
    for (const char* name : {"docs", "other"}) {
      EXPECT_TRUE(catalog_->PutNamespace(name).ok());
      EXPECT_TRUE(catalog_->PutPrefix(TestPrefix(name)).ok());
    }
  }

  std::vector<std::string> Put(const TestDocument& test) {
    return catalog_->PutDocument(test.document, test.chunks).value();
  }
  std::vector<std::string> Put(const std::string& document_id, const std::vector<int>& chunk_numbers) {
    return Put(MakeTestDocument("docs", document_id, chunk_numbers));
  }
  bool Resolves(int chunk_number, const std::string& namespace_name = "docs") {
    const std::vector<std::string> ids = {TestChunkId(chunk_number)};
    return catalog_->ResolveChunks(namespace_name, ids).value()[0].has_value();
  }
  std::vector<std::string> ListedIds(int page_size, std::string* token) {
    const DocumentPage page = catalog_->ListDocuments("docs", page_size, *token).value();
    *token = page.next_page_token;
    std::vector<std::string> ids;
    for (const Document& document : page.documents) ids.push_back(document.document_id);
    return ids;
  }

  FakeClock clock_;
  std::unique_ptr<Catalog> catalog_;
};

}  // namespace cacheclip
