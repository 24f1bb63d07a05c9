// What keeps a server from starting is said in one line that names the setting; the exit code tells usage
// from failure.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/integration/cluster.h"

namespace cacheclip {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

CommandResult RunServe(Cluster& cluster, const std::string& model, std::vector<std::string> more = {}) {
  std::vector<std::string> command = {"cacheclip", "serve",      "--model",      model,    "--dtype",
                                      "fp32",      "--data-dir", cluster.data(), "--port", "0"};
  command.insert(command.end(), more.begin(), more.end());
  return cluster.Run(command);
}

TEST(StartUpErrors, PortInUse) {
  Cluster cluster;
  const Server first = cluster.Start("cacheclip-selector");
  const std::string port = first.address.substr(first.address.find(':') + 1);
  const CommandResult second = RunServe(cluster, cluster.model(), {"--port", port});
  EXPECT_EQ(second.status, 3);
  EXPECT_THAT(second.error,
              HasSubstr(absl::StrCat("port: cannot listen on 127.0.0.1:", port, ": Address already in use")));
}

TEST(StartUpErrors, WiderThanLoopbackUnlessToldTo) {
  Cluster cluster;
  const CommandResult refused = RunServe(cluster, cluster.model(), {"--address", "0.0.0.0"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.error, HasSubstr("address: 0.0.0.0 is wider than loopback"));
}

TEST(StartUpErrors, MissingTokenizer) {
  Cluster cluster;
  fs::remove(cluster.model() + "/tokenizer.json");
  const CommandResult result = RunServe(cluster, cluster.model());
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.error, HasSubstr("tokenizer.json"));
}

TEST(StartUpErrors, TruncatedWeights) {
  Cluster cluster;
  const std::string weights = cluster.model() + "/model.safetensors";
  fs::resize_file(weights, fs::file_size(weights) / 2);
  const CommandResult result = RunServe(cluster, cluster.model());
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.error, HasSubstr("model: "));
  EXPECT_THAT(result.error, HasSubstr("model.safetensors"));
}

TEST(StartUpErrors, MissingModelAndUnknownSettings) {
  Cluster cluster;
  EXPECT_THAT(RunServe(cluster, cluster.folder() + "/nowhere").error, HasSubstr("model: "));
  EXPECT_EQ(RunServe(cluster, cluster.model(), {"--no-such-flag"}).status, 2);
  const CommandResult bad = RunServe(cluster, cluster.model(), {"--dtype", "fp8"});
  EXPECT_EQ(bad.status, 2);
  EXPECT_THAT(bad.error, HasSubstr("dtype: must be one of bf16, fp32"));
  std::ofstream(cluster.folder() + "/config.yaml") << "prot: 1\n";
  const CommandResult unknown =
      RunServe(cluster, cluster.model(), {"--config", cluster.folder() + "/config.yaml"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.error, HasSubstr("prot: is no known setting"));
}

}  // namespace
}  // namespace cacheclip
