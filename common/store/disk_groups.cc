#include "common/store/disk_groups.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/hash.h"
#include "common/store/posix_file.h"

namespace cacheclip {

namespace fs = std::filesystem;

// A digest, because a group's name may contain any byte and a file name may not.
std::string DiskGroups::GroupFolder(std::string_view group) const {
  Sha256 sha;
  return absl::StrCat(folder_, "/", ToHex(sha.AddField(group).Finish()));
}

std::string DiskGroups::MarkerPath(std::string_view group, const Member& member) const {
  return absl::StrCat(GroupFolder(group), "/", member.key.ToHex(), ".", member.bytes);
}

absl::Status DiskGroups::Add(std::string_view group, const Member& member) {
  std::error_code error;
  fs::create_directories(GroupFolder(group), error);
  if (error) return FileError(error.value(), "make folder", GroupFolder(group));
  return OpenFile(MarkerPath(group, member), O_WRONLY | O_CREAT).status();
}

void DiskGroups::Remove(std::string_view group, const Member& member) {
  ::unlink(MarkerPath(group, member).c_str());
}

absl::StatusOr<std::vector<DiskGroups::Member>> DiskGroups::Members(std::string_view group) const {
  std::vector<Member> members;
  std::error_code error;
  for (fs::directory_iterator file(GroupFolder(group), error), end; !error && file != end;
       file.increment(error)) {
    const std::vector<std::string> parts = absl::StrSplit(file->path().filename().string(), '.');
    Member member;
    if (parts.size() != 2 || !absl::SimpleAtoi(parts[1], &member.bytes)) continue;
    const auto key = ChunkKey::FromHex(parts[0]);
    if (!key.ok()) continue;
    member.key = *key;
    members.push_back(member);
  }
  if (error && error.value() != ENOENT) return FileError(error.value(), "list", GroupFolder(group));
  return members;
}

}  // namespace cacheclip
