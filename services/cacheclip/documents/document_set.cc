#include "services/cacheclip/documents/document_set.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

constexpr int64_t kScanBytes = int64_t{4} << 20;
constexpr std::string_view kPathKey = "\"path\"";

// The first heading, else the file's name.
std::string TitleOf(const std::string& text, const DocumentFile& file) {
  if (file.kind == DocumentFileKind::kMarkdown && text.rfind("# ", 0) == 0)
    return text.substr(2, text.find('\n') - 2);
  return std::filesystem::path(file.path).stem().string();
}

std::string StringOf(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// The file that a line of `manifest` names.
DocumentFile Beside(const DocumentFile& manifest, const std::string& path) {
  DocumentFile file = manifest;
  file.modified = absl::InfinitePast();
  file.path = (std::filesystem::path(manifest.path).parent_path() / path).lexically_normal().string();
  file.kind = path.ends_with(".md") || path.ends_with(".markdown") ? DocumentFileKind::kMarkdown
                                                                   : DocumentFileKind::kText;
  return file;
}

absl::StatusOr<std::string> ReadWhole(const DocumentFile& file) {
  std::string text;
  while (true) {  // in parts: a file named by a manifest line has a size that nobody looked up
    CACHECLIP_ASSIGN_OR_RETURN(const std::string part, file.Read(text.size(), kScanBytes));
    text += part;
    if (static_cast<int64_t>(part.size()) < kScanBytes) return text;
    if (static_cast<int64_t>(text.size()) > kMaxDocumentFileBytes)
      return absl::ResourceExhaustedError(
          absl::StrCat(file.Name(), ": more than ", kMaxDocumentFileBytes, " bytes"));
  }
}

DocumentFormat FormatOf(const DocumentFile& file) {
  return file.kind == DocumentFileKind::kMarkdown ? DocumentFormat::kMarkdown : DocumentFormat::kPlainText;
}

}  // namespace

absl::StatusOr<DocumentSet> DocumentSet::Open(const std::vector<std::string>& sources,
                                              const ObjectClientSettings& s3) {
  DocumentSet set;
  CACHECLIP_ASSIGN_OR_RETURN(set.files_, ListDocumentFiles(sources, s3));
  for (uint32_t i = 0; i < set.files_.size(); ++i) {
    if (set.files_[i].kind == DocumentFileKind::kJsonLines) {
      CACHECLIP_RETURN_IF_ERROR(set.AddLines(i));
    } else {
      set.entries_.push_back({.file = i});
    }
  }
  return set;
}

absl::Status DocumentSet::AddLines(uint32_t file) {
  int64_t begin = 0, at = 0;
  int32_t line = 1;
  bool is_blank = true, names_file = false;
  size_t num_matched = 0;  // of kPathKey
  const auto end_line = [&] {
    if (!is_blank && names_file) naming_.push_back(size());
    if (!is_blank) entries_.push_back({begin, at - begin, file, line});
    begin = at + 1;
    line += line < std::numeric_limits<int32_t>::max();
    is_blank = true;
    names_file = false;
  };
  while (true) {
    CACHECLIP_ASSIGN_OR_RETURN(const std::string part, files_[file].Read(at, kScanBytes));
    for (const char c : part) {
      if (c == '\n')
        end_line();
      else if (c != ' ' && c != '\t' && c != '\r')
        is_blank = false;
      num_matched = c == kPathKey[num_matched] ? num_matched + 1 : c == kPathKey[0];
      names_file |= num_matched == kPathKey.size();
      if (num_matched == kPathKey.size()) num_matched = 0;
      ++at;
    }
    if (static_cast<int64_t>(part.size()) < kScanBytes) break;
  }
  end_line();
  return absl::OkStatus();
}

absl::StatusOr<SourceDocument> DocumentSet::Read(int64_t index) const {
  const Entry& entry = entries_[index];
  const DocumentFile& file = files_[entry.file];
  return entry.line == 0 ? ReadFile(file) : ReadLine(file, entry);
}

absl::StatusOr<SourceDocument> DocumentSet::ReadFile(const DocumentFile& file) const {
  SourceDocument document{.document_id = file.id};
  CACHECLIP_ASSIGN_OR_RETURN(document.text, ReadWhole(file));
  document.title = TitleOf(document.text, file);
  document.format = FormatOf(file);
  return document;
}

absl::StatusOr<SourceDocument> DocumentSet::ReadLine(const DocumentFile& file, const Entry& entry) const {
  CACHECLIP_ASSIGN_OR_RETURN(const std::string line, file.Read(entry.begin, entry.num_bytes));
  const nlohmann::json object = nlohmann::json::parse(line, nullptr, false);
  const auto refuse = [&](std::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(file.Name(), ":", entry.line, ": ", std::string(what)));
  };
  if (!object.is_object() || StringOf(object, "id").empty())
    return refuse("must be {\"id\": …, \"text\": …}");
  SourceDocument document{.document_id = StringOf(object, "id"), .title = StringOf(object, "title")};
  if (const auto text = object.find("text"); text != object.end()) {
    if (!text->is_string()) return refuse("\"text\" must be a string");
    document.text = text->get<std::string>();
  } else if (const std::string path = StringOf(object, "path"); !path.empty()) {
    const DocumentFile beside = Beside(file, path);
    absl::StatusOr<std::string> read = ReadWhole(beside);
    if (!read.ok()) return refuse(read.status().ToString());
    document.text = *std::move(read);
    document.format = FormatOf(beside);
    if (document.title.empty()) document.title = TitleOf(document.text, beside);
  } else {
    return refuse("has neither \"text\" nor \"path\"");
  }
  if (const auto metadata = object.find("metadata"); metadata != object.end() && metadata->is_object())
    document.metadata_json = metadata->dump();
  return document;
}

absl::StatusOr<Digest> DocumentSet::Identity() const {
  Sha256 hash;
  for (const DocumentFile& file : files_) {
    CACHECLIP_ASSIGN_OR_RETURN(const Digest fingerprint, file.Fingerprint());
    hash.AddField(file.id).AddField(ToHex(fingerprint));
  }
  for (const int64_t index : naming_) {
    const DocumentFile& manifest = files_[entries_[index].file];
    CACHECLIP_ASSIGN_OR_RETURN(const std::string line,
                               manifest.Read(entries_[index].begin, entries_[index].num_bytes));
    const std::string path = StringOf(nlohmann::json::parse(line, nullptr, false), "path");
    if (path.empty()) continue;
    const absl::StatusOr<Digest> fingerprint = Beside(manifest, path).Fingerprint();
    hash.AddField(fingerprint.ok() ? ToHex(*fingerprint) : "");  // reading the document says what is wrong
  }
  return hash.Finish();
}

}  // namespace cacheclip
