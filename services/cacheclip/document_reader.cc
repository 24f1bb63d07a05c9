#include "services/cacheclip/document_reader.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

namespace fs = std::filesystem;

enum class FileKind { kOther, kText, kMarkdown, kJsonLines };

FileKind KindOf(const fs::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".txt") return FileKind::kText;
  if (extension == ".md" || extension == ".markdown") return FileKind::kMarkdown;
  return extension == ".jsonl" ? FileKind::kJsonLines : FileKind::kOther;
}

// The first heading, else the file's name.
std::string TitleOf(const std::string& text, FileKind kind, const fs::path& path) {
  if (kind == FileKind::kMarkdown && text.rfind("# ", 0) == 0) return text.substr(2, text.find('\n') - 2);
  return path.stem().string();
}

std::string StringOf(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

absl::StatusOr<DocumentReader> DocumentReader::Open(const std::vector<std::string>& paths) {
  DocumentReader reader;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::exists(path, error)) return FieldError(absl::StatusCode::kNotFound, path, "does not exist");
    if (!fs::is_directory(path)) {
      if (KindOf(path) == FileKind::kOther)
        return InvalidField(path, "must be .txt, .md, .jsonl or a folder");
      reader.files_.push_back({path, fs::path(path).filename().string()});
      continue;
    }
    std::vector<File> found;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path, error)) {
      if (entry.is_regular_file() && KindOf(entry.path()) != FileKind::kOther)
        found.push_back({entry.path().string(), fs::relative(entry.path(), path).generic_string()});
    }
    std::sort(found.begin(), found.end(), [](const File& a, const File& b) { return a.id < b.id; });
    std::move(found.begin(), found.end(), std::back_inserter(reader.files_));
  }
  return reader;
}

bool DocumentReader::Next(SourceDocument* document) {
  while (true) {
    if (lines_.is_open() && NextLine(document)) return true;
    if (next_file_ == files_.size()) return false;
    const File& file = files_[next_file_++];
    if (KindOf(file.path) == FileKind::kJsonLines) {
      lines_ = std::ifstream(file.path);
      lines_path_ = file.path;
      line_number_ = 0;
      if (!lines_.is_open()) errors_.push_back(absl::StrCat(file.path, ": cannot be read"));
    } else if (ReadWhole(file, document)) {
      return true;
    }
  }
}

bool DocumentReader::ReadWhole(const File& file, SourceDocument* document) {
  absl::StatusOr<std::string> text = ReadFile(file.path);
  if (!text.ok()) {
    errors_.push_back(std::string(text.status().message()));
    return false;
  }
  const FileKind kind = KindOf(file.path);
  *document = SourceDocument{};
  document->document_id = file.id;
  document->title = TitleOf(*text, kind, file.path);
  document->text = *std::move(text);
  document->format = kind == FileKind::kMarkdown ? DocumentFormat::kMarkdown : DocumentFormat::kPlainText;
  return true;
}

bool DocumentReader::NextLine(SourceDocument* document) {
  std::string line;
  while (std::getline(lines_, line)) {
    ++line_number_;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const nlohmann::json object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object() || StringOf(object, "id").empty() || !object.contains("text") ||
        !object["text"].is_string()) {
      errors_.push_back(absl::StrCat(lines_path_, ":", line_number_, ": must be {\"id\": …, \"text\": …}"));
      continue;
    }
    *document = SourceDocument{};
    document->document_id = StringOf(object, "id");
    document->title = StringOf(object, "title");
    document->text = StringOf(object, "text");
    if (const auto metadata = object.find("metadata"); metadata != object.end() && metadata->is_object())
      document->metadata_json = metadata->dump();
    return true;
  }
  lines_.close();
  return false;
}

}  // namespace cacheclip
