// The SQLite catalogue across processes: a reader beside a writer that lives or is killed at any moment.
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "common/catalog/sqlite_catalog.h"
#include "tests/support/catalog_contract.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_folder.h"

namespace cacheclip {
namespace {

const std::vector<int> kOld = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
const std::vector<int> kNew = {9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24};

void Register(Catalog& catalog) {
  if (!catalog.PutNamespace("docs").ok() || !catalog.PutPrefix(TestPrefix("docs")).ok()) std::abort();
}

void Put(Catalog& catalog, const std::vector<int>& chunk_numbers) {
  const TestDocument test = MakeTestDocument("docs", "d", chunk_numbers);
  if (!catalog.PutDocument(test.document, test.chunks).ok()) std::abort();
}

bool Resolves(Catalog& catalog, int chunk_number) {
  const auto records = catalog.ResolveChunks("docs", std::vector{TestChunkId(chunk_number)});
  EXPECT_TRUE(records.ok()) << records.status();
  return records.ok() && (*records)[0].has_value();
}

TEST(SqliteCatalogProcess, KillDuringPutLeavesTheOldOrTheNewVersion) {
  const TempFolder folder;
  const std::string path = folder.path() + "/catalog.sqlite";
  Register(*SqliteCatalog::Open({.path = path}).value());
  for (int round = 0; round < 30; ++round) {
    {
      ChildProcess writer([&](const ChildProcess::Channel& channel) {
        const auto catalog = SqliteCatalog::Open({.path = path}).value();
        for (;;) {
          Put(*catalog, kOld);
          channel.Send();
          Put(*catalog, kNew);
          channel.Send();
        }
      });
      for (int i = 0; i < 1 + round % 7; ++i) ASSERT_TRUE(writer.channel().Wait());
      writer.Kill();  // somewhere in a later put
    }
    const auto reader = SqliteCatalog::OpenReadOnly({.path = path});
    std::vector<std::string> ids;
    for (int number = 1; number <= 24; ++number) ids.push_back(TestChunkId(number));
    const auto records = reader->ResolveChunks("docs", ids).value();
    const Document document = reader->GetDocument("docs", "d").value();
    const bool is_old = document.chunks[0].chunk_id == TestChunkId(1);
    const std::vector<int>& expected = is_old ? kOld : kNew;
    ASSERT_EQ(document.chunks, MakeTestDocument("docs", "d", expected).document.chunks);
    for (int number = 1; number <= 24; ++number)
      ASSERT_EQ(records[number - 1].has_value(), is_old ? number <= 16 : number >= 9) << number;
  }
}

TEST(SqliteCatalogProcess, ReaderSeesADeleteOfAnotherProcessAtItsNextLookup) {
  const TempFolder folder;
  const std::string path = folder.path() + "/catalog.sqlite";
  const auto reader = SqliteCatalog::OpenReadOnly({.path = path});
  ChildProcess writer([&](const ChildProcess::Channel& channel) {
    const auto catalog = SqliteCatalog::Open({.path = path}).value();
    Register(*catalog);
    Put(*catalog, {1});
    channel.Send();
    channel.Wait();
    if (!catalog->DeleteDocument("docs", "d").ok()) std::abort();
    channel.Send();
    channel.Wait();
  });
  ASSERT_TRUE(writer.channel().Wait());
  EXPECT_TRUE(Resolves(*reader, 1));
  writer.channel().Send();
  ASSERT_TRUE(writer.channel().Wait());
  EXPECT_FALSE(Resolves(*reader, 1));
}

TEST(SqliteCatalogProcess, ChunksStillResolveAfterTheWriterWasKilled) {
  const TempFolder folder;
  const std::string path = folder.path() + "/catalog.sqlite";
  const auto early_reader = SqliteCatalog::OpenReadOnly({.path = path});
  {
    ChildProcess writer([&](const ChildProcess::Channel& channel) {
      const auto catalog = SqliteCatalog::Open({.path = path}).value();
      Register(*catalog);
      Put(*catalog, {1});
      channel.Send();
      channel.Wait();
    });
    ASSERT_TRUE(writer.channel().Wait());
    EXPECT_TRUE(Resolves(*early_reader, 1));
    writer.Kill();
  }
  EXPECT_TRUE(Resolves(*early_reader, 1));
  EXPECT_TRUE(Resolves(*SqliteCatalog::OpenReadOnly({.path = path}), 1));
  Put(*SqliteCatalog::Open({.path = path}).value(), {2});  // a restarted writer
  EXPECT_FALSE(Resolves(*early_reader, 1));
  EXPECT_TRUE(Resolves(*early_reader, 2));
}

}  // namespace
}  // namespace cacheclip
