// The verbs, as a user types them, against a running server.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "tests/integration/cluster.h"

namespace cacheclip {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

// Standard output must be exactly one JSON object.
json OneObject(const CommandResult& result) {
  const json parsed = json::parse(result.output, nullptr, false);
  EXPECT_TRUE(parsed.is_object()) << result.output << result.error;
  return parsed.is_object() ? parsed : json::object();
}

void WriteCorpus(const std::string& folder) {
  fs::create_directories(folder + "/more");
  std::ofstream(folder + "/lighthouse.md")
      << "# The lighthouse\n\nThe lighthouse was completed in 1887 by Isobel Trent.\n";
  std::ofstream(folder + "/more/tunnel.txt") << "The tunnel under the hill is 1,386 metres long.\n";
  std::ofstream(folder + "/lines.jsonl")
      << R"({"id": "ship", "text": "The ship left the harbour.", "metadata": {"year": 1901}})"
      << "\nnot json\n";
  std::ofstream(folder + "/ignored.png") << "x";
}

TEST(CommandLine, IngestsAFolderAsksAndShowsWhatIsStored) {
  Cluster cluster;
  const Server server = cluster.Start("cacheclip");
  const std::string corpus = cluster.folder() + "/corpus";
  WriteCorpus(corpus);
  const std::vector<std::string> common = {"--server", server.address, "--data-dir", cluster.data(),
                                           "--json"};
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "cacheclip");
    arguments.insert(arguments.end(), common.begin(), common.end());
    return cluster.Run(arguments);
  };
  const CommandResult first = run({"ingest", corpus});
  EXPECT_EQ(first.status, 1) << "one line is no document";
  EXPECT_EQ(OneObject(first)["documents"], 3);
  EXPECT_THAT(first.error, HasSubstr("lines.jsonl:2"));
  fs::remove(corpus + "/lines.jsonl");
  const json again = OneObject(run({"ingest", corpus}));
  EXPECT_EQ(again["unchanged"], 2);
  EXPECT_EQ(again["chunks_encoded"], 0);

  const CommandResult asked = run({"ask", "When was the lighthouse completed?", "--max-new-tokens", "4"});
  ASSERT_EQ(asked.status, 0) << asked.error;
  const json answer = OneObject(asked);
  EXPECT_EQ(answer["sources"][0]["document_id"], "lighthouse.md");
  EXPECT_EQ(answer["usage"]["reencoded_tokens"], 0);
  const std::string chunk_id = answer["sources"][0]["chunk_id"];

  const CommandResult generated = run({"generate", "When?", "--chunk-id", chunk_id, "--chunk-text",
                                       "It rained.", "--method", "primary_probe", "--max-new-tokens", "3"});
  ASSERT_EQ(generated.status, 0) << generated.error;
  EXPECT_EQ(OneObject(generated)["usage"]["method"], "primary_probe");

  const CommandResult chunk =
      cluster.Run({"cacheclip", "inspect", chunk_id, "--data-dir", cluster.data(), "--json"});
  EXPECT_EQ(OneObject(chunk)["writer_version"], "cacheclip 0.1.0");
  const CommandResult folder = cluster.Run({"cacheclip", "inspect", "--data-dir", cluster.data(), "--json"});
  EXPECT_EQ(OneObject(folder)["namespaces"][0]["documents"], 3);
  EXPECT_EQ(OneObject(folder)["disk"]["missing"], 0);

  const std::vector<std::string> purge = {"cacheclip",  "purge",        "--document", "lighthouse.md",
                                          "--data-dir", cluster.data(), "--json"};
  EXPECT_EQ(OneObject(cluster.Run(purge))["documents"], 1);
  std::vector<std::string> purge_now = purge;
  purge_now.push_back("--yes");
  EXPECT_EQ(OneObject(cluster.Run(purge_now))["chunks"], 1);
  EXPECT_NE(run({"generate", "When?", "--chunk-id", chunk_id}).status, 0)
      << "gone for the running server, too";
  const CommandResult verified = cluster.Run({"cacheclip", "verify", "--data-dir", cluster.data(), "--json"});
  EXPECT_EQ(verified.status, 0) << verified.error;
  EXPECT_TRUE(OneObject(verified)["ok"].get<bool>());
}

TEST(CommandLine, VerifyFindsDamageAndTheServerStillAnswersRight) {
  Cluster cluster;
  Server server = cluster.Start("cacheclip");
  const auto chunks = cluster.Ingest(server, 1);
  const auto before = Generate(server, RequestOver(chunks, Method::kNone));
  ASSERT_TRUE(before.ok()) << before.status();
  server.process->Signal(SIGKILL);
  server.process->Wait();
  const std::string file = absl::StrCat(cluster.data(), "/chunks/objects/", chunks[0].substr(0, 2), "/");
  for (const auto& entry : fs::directory_iterator(file)) {
    std::fstream bytes(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(-1, std::ios::end);
    bytes.put('\x5a');
  }
  server = cluster.Start("cacheclip");
  const auto after = Generate(server, RequestOver(chunks, Method::kNone));
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->token_ids, before->token_ids) << "damaged KV must never be served";
  EXPECT_GT(after->usage.reencoded_tokens, 0);
  EXPECT_THAT(FetchMetrics(server), HasSubstr("cacheclip_store_checksum_failures_total{tier=\"disk\"} 1\n"));
}

TEST(CommandLine, TakesAQualityInPlaceOfMethodAndBudget) {
  Cluster cluster;
  const Server server = cluster.Start("cacheclip");
  const std::string chunk_id = cluster.Ingest(server, 1).front();
  const auto generate = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> arguments = {
        "cacheclip", "generate",         "When?", "--server", server.address, "--chunk-id",
        chunk_id,    "--max-new-tokens", "3",     "--json"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return cluster.Run(arguments);
  };
  const json exact = OneObject(generate({"--quality", "exact"}));
  EXPECT_EQ(exact["usage"]["method"], "full");
  EXPECT_EQ(exact["usage"]["estimated_divergence"], 0);
  EXPECT_EQ(OneObject(generate({"--budget", "0.1", "--coverage", "0.5"}))["usage"]["method"], "auxiliary");
  for (const auto& flags : std::vector<std::vector<std::string>>{{"--quality", "exact", "--budget", "0.1"},
                                                                 {"--quality", "fast", "--coverage", "1"},
                                                                 {"--quality", "best"}}) {
    const CommandResult refused = generate(flags);
    EXPECT_EQ(refused.status, 1) << refused.output;
    EXPECT_THAT(refused.error, HasSubstr("options.quality"));
  }
}

TEST(CommandLine, UnreachableServerIsAnExitCodeOfItsOwn) {
  Cluster cluster;
  const CommandResult result = cluster.Run(
      {"cacheclip", "generate", "Hello?", "--server", "127.0.0.1:1", "--chunk-text", "x", "--json"});
  EXPECT_EQ(result.status, 3) << result.error;
  EXPECT_EQ(result.output, "");
}

TEST(CommandLine, AskingBeforeAnythingWasIngestedSaysWhatToDo) {
  Cluster cluster;
  const CommandResult result = cluster.Run({"cacheclip", "ask", "When?", "--data-dir", cluster.data()});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.error, HasSubstr("cacheclip ingest"));
}

TEST(CommandLine, HelpShowsExamplesForEveryVerb) {
  Cluster cluster;
  for (const std::string verb : {"serve", "ingest", "ask", "generate", "preload", "inspect", "verify",
                                 "purge", "bench", "plan", "health"}) {
    const CommandResult help = cluster.Run({"cacheclip", verb, "--help"});
    EXPECT_EQ(help.status, 0) << verb;
    EXPECT_THAT(help.output, HasSubstr("Examples:\n  cacheclip " + verb)) << verb;
  }
  EXPECT_EQ(cluster.Run({"cacheclip", "nonsense"}).status, 2);
}

}  // namespace
}  // namespace cacheclip
