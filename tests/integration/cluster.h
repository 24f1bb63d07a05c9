// The real programs on loopback with a tiny random model: what every integration test starts. Each program's
// settings are those of a user; ports are free ones, read from the line that the program prints when it is
// ready. Belongs to one test.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/rpc/generation_client.h"
#include "common/rpc/ingestion_client.h"
#include "tests/support/subprocess.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace cacheclip {

struct Server {
  std::unique_ptr<Subprocess> process;
  std::string address;  // "127.0.0.1:40123"
  int metrics_port = 0;
};

class Cluster {
 public:
  explicit Cluster(const TinyModelOptions& model = {});  // writes the model
  Cluster(std::string model, std::string dtype);         // uses a model that is there

  // `program`: "cacheclip-generation", or "cacheclip" for serve. Fails the test if it does not get ready.
  Server Start(const std::string& program, const std::vector<std::string>& settings = {});
  // Runs a program to its end.
  CommandResult Run(const std::vector<std::string>& arguments);

  // A namespace "default" with a default prefix, and `num_documents` documents; returns the chunk ids in
  // order.
  std::vector<std::string> Ingest(const Server& server, int num_documents, IngestTotals* totals = nullptr);

  const std::string& model() const { return model_; }
  std::string data() const { return folder_.path() + "/data"; }
  const std::string& folder() const { return folder_.path(); }

 private:
  TempFolder folder_;
  const std::string model_, dtype_ = "fp32";
  int num_started_ = 0;
};

std::shared_ptr<grpc::Channel> ChannelTo(const Server& server);

// A request over these chunks that generates `max_new_tokens` tokens, no fewer.
GenerateRequest RequestOver(const std::vector<std::string>& chunk_ids, Method method, int max_new_tokens = 4);

absl::StatusOr<GenerateResult> Generate(const Server& server, const GenerateRequest& request,
                                        const CancellationToken& cancellation = CancellationToken());

std::string FetchMetrics(const Server& server);
// The value of an unlabelled metric; -1 if it is not there.
double MetricValue(const Server& server, const std::string& name);

}  // namespace cacheclip
