#include "services/evaluation/eval_records.h"

#include <filesystem>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

constexpr const char* kKeyFields[] = {"model",  "auxiliary", "task",    "sample", "method",
                                      "budget", "seed",      "context", "chunk"};

nlohmann::json OrNull(const std::optional<double>& value) {
  return value.has_value() ? nlohmann::json(*value) : nlohmann::json();
}

bool IsRecord(const nlohmann::json& record) {
  const auto is_number = [&](const char* field) {
    return record.contains(field) && record[field].is_number();
  };
  return record.is_object() && record.contains("task") && record.contains("method") &&
         record["method"].is_string() && is_number("budget") && is_number("kl");
}

// Reads whole lines; `end` is where the last of them ends.
absl::Status ReadLines(const std::string& path, std::map<std::string, nlohmann::json>* records,
                       int64_t* end) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  std::string line;
  *end = 0;
  for (int number = 1; std::getline(content, line) && !content.eof(); ++number) {
    nlohmann::json record = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!IsRecord(record))
      return absl::DataLossError(absl::StrCat(path, ", line ", number, ": is no record of an evaluation"));
    std::string key = RecordKey(record);
    (*records)[std::move(key)] = std::move(record);
    *end += static_cast<int64_t>(line.size()) + 1;
  }
  return absl::OkStatus();
}

}  // namespace

std::string RecordKey(const nlohmann::json& record) {
  std::string key;
  for (const char* field : kKeyFields)
    absl::StrAppend(&key, record.value(field, nlohmann::json()).dump(), "|");
  return key;
}

nlohmann::json MakeRecord(const PreparedSample& prepared, const MethodSpec& spec, double budget,
                          const MethodOutcome& outcome) {
  double total = 0;
  for (const auto& [stage, seconds] : outcome.seconds) total += seconds;
  nlohmann::json stages = outcome.seconds;
  return {{"task", prepared.sample.task},
          {"sample", prepared.sample.index},
          {"method", spec.label},
          {"budget", budget},
          {"answer", outcome.answer},
          {"score", outcome.score},
          {"full_answer", prepared.answer},
          {"full_score", prepared.score},
          {"full_margin", OrNull(prepared.margin)},
          {"references", prepared.sample.references},
          {"kl", outcome.kl},
          {"estimated_kl", OrNull(outcome.estimated_kl)},
          {"stale_mass_share", OrNull(outcome.stale_mass_share)},
          {"top1_agreement", outcome.top1_agreement},
          {"same_answer", outcome.same_answer},
          {"answer_tokens", prepared.answer_ids.size()},
          {"context_tokens", prepared.prompt.tokens.context_size()},
          {"recomputed_tokens", outcome.recomputed_tokens},
          {"charged_budget", outcome.charged_budget},
          {"seconds", total},
          {"stage_seconds", std::move(stages)},
          {"full_seconds", prepared.full_seconds}};
}

absl::StatusOr<std::vector<nlohmann::json>> ReadRecords(const std::string& path) {
  if (!std::ifstream(path)) return InvalidField("compare", absl::StrCat("cannot read ", path));
  std::map<std::string, nlohmann::json> by_key;
  int64_t end = 0;
  CACHECLIP_RETURN_IF_ERROR(ReadLines(path, &by_key, &end));
  std::vector<nlohmann::json> records;
  for (auto& [key, record] : by_key) records.push_back(std::move(record));
  return records;
}

absl::StatusOr<RecordFile> RecordFile::Open(const std::string& path, bool resume) {
  RecordFile result;
  result.path_ = path;
  if (path.empty()) return result;
  std::error_code error;
  const bool holds_something =
      std::filesystem::exists(path, error) && std::filesystem::file_size(path, error) > 0;
  if (holds_something && !resume)
    return FieldError(absl::StatusCode::kAlreadyExists, "out",
                      absl::StrCat(path, " exists; --resume goes on with it, or name another file"));
  if (holds_something) {
    int64_t end = 0;
    CACHECLIP_RETURN_IF_ERROR(ReadLines(path, &result.records_, &end));
    std::filesystem::resize_file(path, static_cast<uintmax_t>(end), error);
  }
  result.file_.open(path, std::ios::binary | std::ios::app);
  if (!result.file_) return InvalidField("out", absl::StrCat("cannot write ", path));
  return result;
}

const nlohmann::json* RecordFile::Find(const std::string& key) const {
  const auto found = records_.find(key);
  return found == records_.end() ? nullptr : &found->second;
}

absl::Status RecordFile::Append(nlohmann::json record) {
  if (file_.is_open()) {
    file_ << record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n" << std::flush;
    if (!file_)
      return absl::ResourceExhaustedError(absl::StrCat("cannot write to ", path_, ": is the disk full?"));
  }
  std::string key = RecordKey(record);
  records_[std::move(key)] = std::move(record);
  return absl::OkStatus();
}

}  // namespace cacheclip
