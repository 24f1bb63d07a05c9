#include "common/store/object/folder_listing.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/store/posix_file.h"

namespace cacheclip {
namespace {

// The names in a folder, sorted as the names of the objects below them are: a folder counts as "name/".
absl::StatusOr<std::vector<std::string>> SortedEntries(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
  std::vector<std::string> entries;
  if (folder == nullptr) {
    if (errno == ENOENT || errno == ENOTDIR) return entries;
    return FileError(errno, "list", path);
  }
  while (const dirent* entry = ::readdir(folder.get())) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    unsigned char type = entry->d_type;
    if (type == DT_UNKNOWN) {  // some file systems do not tell
      struct stat status;
      if (::lstat(absl::StrCat(path, "/", name).c_str(), &status) != 0) continue;
      type = S_ISDIR(status.st_mode) ? DT_DIR : S_ISREG(status.st_mode) ? DT_REG : DT_UNKNOWN;
    }
    if (type == DT_DIR) entries.push_back(name + "/");
    if (type == DT_REG) entries.push_back(std::move(name));
  }
  std::ranges::sort(entries);
  return entries;
}

class Lister {
 public:
  Lister(const std::string& root, const std::string& after, int max_objects, const CancellationToken& token)
      : root_(root), after_(after), max_objects_(max_objects), token_(token) {}

  // `prefix` is empty or ends in "/". True: the page is full.
  absl::StatusOr<bool> Visit(const std::string& prefix) {
    CACHECLIP_RETURN_IF_ERROR(token_.Check());
    CACHECLIP_ASSIGN_OR_RETURN(const std::vector<std::string> entries,
                               SortedEntries(absl::StrCat(root_, "/", prefix)));
    for (const std::string& entry : entries) {
      const std::string name = prefix + entry;
      if (prefix.empty() && entry == absl::StrCat(std::string(kIncomingFolder), "/")) continue;
      // A folder is skipped when all names in it come before `after`.
      if (name <= after_ && !absl::StartsWith(after_, name)) continue;
      if (entry.back() == '/') {
        CACHECLIP_ASSIGN_OR_RETURN(const bool is_full, Visit(name));
        if (is_full) return true;
      } else if (name > after_) {
        if (static_cast<int>(page_.objects.size()) == max_objects_) {
          page_.next_page = page_.objects.back().name;
          return true;
        }
        auto info = StatObject(root_, name);
        if (info.ok()) page_.objects.push_back(*std::move(info));
      }
    }
    return false;
  }

  ObjectPage TakePage() && { return std::move(page_); }

 private:
  const std::string& root_;
  const std::string& after_;
  const int max_objects_;
  const CancellationToken& token_;
  ObjectPage page_;
};

}  // namespace

absl::StatusOr<ObjectPage> ListFolder(const std::string& root, const std::string& prefix,
                                      const std::string& after, int max_objects,
                                      const CancellationToken& token) {
  if (max_objects < 1 || max_objects > kMaxObjectsPerPage)
    return InvalidField("max_objects",
                        absl::StrCat("must be 1 to ", kMaxObjectsPerPage, ", got ", max_objects));
  if (!prefix.empty()) {
    if (prefix.back() != '/') return InvalidField("prefix", "must be empty or end in \"/\"");
    CACHECLIP_RETURN_IF_ERROR(ValidateObjectName(std::string_view(prefix).substr(0, prefix.size() - 1)));
  }
  Lister lister(root, after, max_objects, token);
  CACHECLIP_RETURN_IF_ERROR(lister.Visit(prefix).status());
  return std::move(lister).TakePage();
}

absl::StatusOr<ObjectInfo> StatObject(const std::string& root, const std::string& name) {
  const std::string path = absl::StrCat(root, "/", name);
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOTDIR) return absl::NotFoundError(path);
    return FileError(errno, "look for", path);
  }
  if (!S_ISREG(status.st_mode)) return absl::NotFoundError(absl::StrCat(path, " is no file"));
  return ObjectInfo{name, status.st_size, absl::TimeFromTimespec(status.st_mtim)};
}

}  // namespace cacheclip
