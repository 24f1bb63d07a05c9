#include "tests/integration/cluster.h"

#include <curl/curl.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <utility>

#include "absl/strings/str_cat.h"

namespace cacheclip {
namespace {

std::string Program(const std::string& name) { return absl::StrCat(CACHECLIP_BINARY_DIR, "/bin/", name); }

std::string DocumentText(int index) {
  std::string text;
  for (int sentence = 0; sentence < 12; ++sentence) {
    absl::StrAppend(&text, "Ship number ", index * 100 + sentence, " left the harbour with ", sentence + 2,
                    " barrels of grain and came back in winter. ");
  }
  return text;
}

size_t Append(char* data, size_t size, size_t count, void* out) {
  static_cast<std::string*>(out)->append(data, size * count);
  return size * count;
}

}  // namespace

Cluster::Cluster(const TinyModelOptions& model) : model_(WriteTinyModel(folder_.path() + "/model", model)) {}

Cluster::Cluster(std::string model, std::string dtype) : model_(std::move(model)), dtype_(std::move(dtype)) {}

Server Cluster::Start(const std::string& program, const std::vector<std::string>& settings) {
  std::vector<std::string> command = {Program(program)};
  if (program == "cacheclip") command.push_back("serve");
  const std::vector<std::string> common = {"--model", model_, "--dtype",        dtype_, "--data-dir", data(),
                                           "--port",  "0",    "--metrics-port", "0",    "--json"};
  command.insert(command.end(), common.begin(), common.end());
  command.insert(command.end(), settings.begin(), settings.end());
  Server server;
  server.process =
      std::make_unique<Subprocess>(std::move(command), absl::StrCat(folder(), "/stderr_", num_started_++));
  const nlohmann::json ready = nlohmann::json::parse(server.process->ReadLine(), nullptr, false);
  if (!ready.is_object()) {
    ADD_FAILURE() << program << " did not get ready: " << server.process->Stderr();
    return server;
  }
  server.address = ready["address"];
  server.metrics_port = ready["metrics_port"];
  return server;
}

CommandResult Cluster::Run(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = arguments;
  command[0] = Program(command[0]);
  return RunCommand(std::move(command), absl::StrCat(folder(), "/stderr_", num_started_++));
}

std::vector<std::string> Cluster::Ingest(const Server& server, int num_documents, IngestTotals* totals) {
  IngestionClient client(ChannelTo(server));
  PrefixSpec spec;
  spec.system_prompt = "You answer questions.";
  const auto prefix = client.PutNamespace("default", &spec, true);
  EXPECT_TRUE(prefix.ok()) << prefix.status();
  std::vector<std::string> chunk_ids;
  int next = 0;
  const auto result = client.Ingest(
      {.namespace_name = "default", .chunker = {.target_tokens = 96, .max_tokens = 192}},
      [&](SourceDocument* document) {
        if (next == num_documents) return false;
        *document = {
            .document_id = absl::StrCat("document-", next), .title = "Ships", .text = DocumentText(next)};
        ++next;
        return true;
      },
      {.on_result = [&](const DocumentResult& done) {
        EXPECT_TRUE(done.status.ok()) << done.status;
        for (const ChunkRecord& chunk : done.chunks) chunk_ids.push_back(chunk.chunk_id);
      }});
  EXPECT_TRUE(result.ok()) << result.status();
  if (totals != nullptr && result.ok()) *totals = *result;
  return chunk_ids;
}

std::shared_ptr<grpc::Channel> ChannelTo(const Server& server) {
  return *MakeChannel({.target = server.address});
}

GenerateRequest RequestOver(const std::vector<std::string>& chunk_ids, Method method, int max_new_tokens) {
  GenerateRequest request;
  request.namespace_name = "default";
  request.messages = {{"user", "Which ship came back in winter?"}};
  for (const std::string& id : chunk_ids) request.chunks.push_back({.chunk_id = id});
  request.options.method = method;
  request.options.max_new_tokens = max_new_tokens;
  request.options.ignore_end_of_sequence = true;
  return request;
}

absl::StatusOr<GenerateResult> Generate(const Server& server, const GenerateRequest& request,
                                        const CancellationToken& cancellation) {
  return GenerationClient(ChannelTo(server)).Generate(request, cancellation);
}

std::string FetchMetrics(const Server& server) {
  std::string body;
  CURL* curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_URL,
                   absl::StrCat("http://127.0.0.1:", server.metrics_port, "/metrics").c_str());
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Append);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_cleanup(curl);
  return code == CURLE_OK ? body : curl_easy_strerror(code);
}

double MetricValue(const Server& server, const std::string& name) {
  const std::string text = "\n" + FetchMetrics(server);
  const size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
}

}  // namespace cacheclip
