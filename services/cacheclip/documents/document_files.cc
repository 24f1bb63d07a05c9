#include "services/cacheclip/documents/document_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include <glob.h>

#include "absl/strings/str_cat.h"
#include "common/base/cancellation.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kHashBytes = int64_t{4} << 20;

std::optional<DocumentFileKind> KindOf(const fs::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".txt") return DocumentFileKind::kText;
  if (extension == ".md" || extension == ".markdown") return DocumentFileKind::kMarkdown;
  if (extension == ".jsonl") return DocumentFileKind::kJsonLines;
  return std::nullopt;
}

absl::Status AddFile(const fs::path& path, std::string id, std::vector<DocumentFile>& files) {
  if (static_cast<int64_t>(files.size()) >= kMaxDocumentFiles)
    return absl::ResourceExhaustedError(absl::StrCat("more than ", kMaxDocumentFiles, " files"));
  std::error_code error;
  const auto num_bytes = static_cast<int64_t>(fs::file_size(path, error));
  files.push_back({path.string(), std::move(id), *KindOf(path), error ? 0 : num_bytes});
  return absl::OkStatus();
}

absl::Status ListFolder(const std::string& folder, std::vector<DocumentFile>& files) {
  const auto begin = static_cast<std::ptrdiff_t>(files.size());
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->is_regular_file() && KindOf(at->path()).has_value())
      CACHECLIP_RETURN_IF_ERROR(
          AddFile(at->path(), fs::relative(at->path(), folder).generic_string(), files));
  }
  if (error) return InvalidField(folder, error.message());
  std::sort(files.begin() + begin, files.end(),
            [](const DocumentFile& a, const DocumentFile& b) { return a.id < b.id; });
  return absl::OkStatus();
}

absl::Status ListPath(const std::string& path, std::vector<DocumentFile>& files) {
  if (fs::is_directory(path)) return ListFolder(path, files);
  if (!KindOf(path).has_value()) return InvalidField(path, "must be .txt, .md, .jsonl or a folder");
  return AddFile(path, fs::path(path).filename().string(), files);
}

absl::Status ListPattern(const std::string& pattern, std::vector<DocumentFile>& files) {
  glob_t found{};
  const int code = ::glob(pattern.c_str(), 0, nullptr, &found);
  const std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (code != 0 && code != GLOB_NOMATCH) return InvalidField(pattern, "cannot be searched");
  const size_t before = files.size();
  for (const std::string& path : paths)
    if (fs::is_directory(path) || KindOf(path).has_value()) CACHECLIP_RETURN_IF_ERROR(ListPath(path, files));
  if (files.size() == before)
    return FieldError(absl::StatusCode::kNotFound, pattern, "matches no .txt, .md or .jsonl file");
  return absl::OkStatus();
}

absl::Status ListObjects(const std::string& url, ObjectClientSettings s3, std::vector<DocumentFile>& files) {
  s3.object_url = url;
  CACHECLIP_ASSIGN_OR_RETURN(std::shared_ptr<ObjectClient> client, MakeObjectClient(s3));
  const size_t before = files.size();
  std::string page;
  do {
    CACHECLIP_ASSIGN_OR_RETURN(ObjectPage found,
                               client->List("", page, kMaxObjectsPerPage, CancellationToken()));
    for (ObjectInfo& object : found.objects)
      if (const auto kind = KindOf(object.name); kind.has_value())
        files.push_back({object.name, object.name, *kind, object.num_bytes, client, object.modified});
    if (static_cast<int64_t>(files.size()) >= kMaxDocumentFiles)
      return absl::ResourceExhaustedError(absl::StrCat("more than ", kMaxDocumentFiles, " files"));
    page = std::move(found.next_page);
  } while (!page.empty());
  if (files.size() == before)
    return FieldError(absl::StatusCode::kNotFound, url, "holds no .txt, .md or .jsonl object");
  return absl::OkStatus();
}

}  // namespace

std::string DocumentFile::Name() const {
  return objects == nullptr ? path : absl::StrCat(objects->url(), "/", path);
}

absl::StatusOr<std::string> DocumentFile::Read(int64_t offset, int64_t num_bytes) const {
  if (num_bytes > kMaxDocumentFileBytes)
    return absl::ResourceExhaustedError(
        absl::StrCat(Name(), ": ", num_bytes, " bytes, at most ", kMaxDocumentFileBytes));
  std::string bytes(num_bytes, '\0');
  if (objects != nullptr) {
    CACHECLIP_ASSIGN_OR_RETURN(
        const ObjectRead read,
        objects->Read(path, offset, std::as_writable_bytes(std::span(bytes)), CancellationToken()));
    bytes.resize(read.num_bytes);
    return bytes;
  }
  std::ifstream file(path, std::ios::binary);
  file.seekg(offset);
  file.read(bytes.data(), num_bytes);
  if (!file.is_open() || file.bad()) return absl::UnavailableError(absl::StrCat(path, ": cannot be read"));
  bytes.resize(file.gcount());
  return bytes;
}

absl::StatusOr<Digest> DocumentFile::Fingerprint() const {
  Sha256 hash;
  if (objects != nullptr) {
    ObjectInfo info{.num_bytes = num_bytes, .modified = modified};
    if (modified == absl::InfinitePast()) {
      CACHECLIP_ASSIGN_OR_RETURN(info, objects->Head(path, CancellationToken()));
    }
    hash.AddInteger(info.num_bytes).AddInteger(absl::ToUnixMicros(info.modified));
    return hash.Finish();
  }
  for (int64_t offset = 0;;) {
    CACHECLIP_ASSIGN_OR_RETURN(const std::string part, Read(offset, kHashBytes));
    hash.AddBytes(part.data(), part.size());
    offset += static_cast<int64_t>(part.size());
    if (static_cast<int64_t>(part.size()) < kHashBytes) return hash.Finish();
  }
}

absl::StatusOr<std::vector<DocumentFile>> ListDocumentFiles(const std::vector<std::string>& sources,
                                                            const ObjectClientSettings& s3) {
  std::vector<DocumentFile> files;
  for (const std::string& source : sources) {
    std::error_code error;
    if (source.rfind("s3://", 0) == 0) {
      CACHECLIP_RETURN_IF_ERROR(ListObjects(source, s3, files));
    } else if (fs::exists(source, error)) {
      CACHECLIP_RETURN_IF_ERROR(ListPath(source, files));
    } else if (source.find_first_of("*?[") != std::string::npos) {
      CACHECLIP_RETURN_IF_ERROR(ListPattern(source, files));
    } else {
      return FieldError(absl::StatusCode::kNotFound, source, "does not exist");
    }
  }
  return files;
}

}  // namespace cacheclip
