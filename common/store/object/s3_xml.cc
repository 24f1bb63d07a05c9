#include "common/store/object/s3_xml.h"

#include <optional>
#include <pugixml.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/store/object/object_client.h"
#include "common/store/object/s3_request.h"

namespace cacheclip {
namespace {

absl::Status Unexpected(std::string_view what) {
  return absl::UnavailableError(absl::StrCat("unexpected answer of the object server: ", std::string(what)));
}

// The document's root, if it is called `name`.
absl::StatusOr<pugi::xml_node> LoadRoot(pugi::xml_document& document, std::string_view xml,
                                        const char* name) {
  if (static_cast<int64_t>(xml.size()) > kMaxS3XmlBytes) return Unexpected("too long");
  const auto loaded = document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!loaded) return Unexpected(absl::StrCat("no XML (", loaded.description(), ")"));
  const pugi::xml_node root = document.child(name);
  if (!root) return Unexpected(absl::StrCat("no <", name, ">"));
  return root;
}

std::optional<absl::Time> ParseTime(const char* text) {
  absl::Time time;
  std::string problem;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &problem)) return std::nullopt;
  return time;
}

absl::StatusOr<S3Listing::Entry> ParseEntry(const pugi::xml_node& node, bool is_encoded) {
  S3Listing::Entry entry;
  entry.key = node.child_value("Key");
  if (entry.key.empty()) return Unexpected("an entry without <Key>");
  if (is_encoded) {
    auto decoded = PercentDecode(entry.key);
    if (!decoded.ok()) return Unexpected("a key with a broken escape");
    entry.key = *std::move(decoded);
  }
  if (!absl::SimpleAtoi(node.child_value("Size"), &entry.num_bytes) || entry.num_bytes < 0)
    return Unexpected("an entry without a <Size>");
  const auto modified = ParseTime(node.child_value("LastModified"));
  if (!modified) return Unexpected("an entry without a <LastModified>");
  entry.modified = *modified;
  return entry;
}

}  // namespace

absl::StatusOr<S3Listing> ParseS3Listing(std::string_view xml) {
  pugi::xml_document document;
  CACHECLIP_ASSIGN_OR_RETURN(const pugi::xml_node root, LoadRoot(document, xml, "ListBucketResult"));
  const bool is_encoded = std::string_view(root.child_value("EncodingType")) == "url";
  S3Listing listing;
  for (const pugi::xml_node node : root.children("Contents")) {
    if (listing.entries.size() >= kMaxObjectsPerPage) return Unexpected("more entries than asked for");
    CACHECLIP_ASSIGN_OR_RETURN(S3Listing::Entry entry, ParseEntry(node, is_encoded));
    listing.entries.push_back(std::move(entry));
  }
  const std::string_view truncated = root.child_value("IsTruncated");
  if (truncated == "true") {
    listing.next_token = root.child_value("NextContinuationToken");
    if (listing.next_token.empty()) return Unexpected("a page without <NextContinuationToken>");
  } else if (truncated != "false") {
    return Unexpected("a page without <IsTruncated>");
  }
  return listing;
}

absl::StatusOr<std::string> ParseS3UploadId(std::string_view xml) {
  pugi::xml_document document;
  CACHECLIP_ASSIGN_OR_RETURN(const pugi::xml_node root,
                             LoadRoot(document, xml, "InitiateMultipartUploadResult"));
  std::string id = root.child_value("UploadId");
  if (id.empty()) return Unexpected("no <UploadId>");
  return id;
}

absl::StatusOr<StsCredentials> ParseStsCredentials(std::string_view xml) {
  pugi::xml_document document;
  CACHECLIP_ASSIGN_OR_RETURN(const pugi::xml_node root,
                             LoadRoot(document, xml, "AssumeRoleWithWebIdentityResponse"));
  const pugi::xml_node node = root.child("AssumeRoleWithWebIdentityResult").child("Credentials");
  const auto expiry = ParseTime(node.child_value("Expiration"));
  StsCredentials credentials{node.child_value("AccessKeyId"), node.child_value("SecretAccessKey"),
                             node.child_value("SessionToken"), expiry.value_or(absl::InfinitePast())};
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty() ||
      credentials.session_token.empty() || !expiry)
    return Unexpected("incomplete <Credentials>");
  return credentials;
}

S3Error ParseS3Error(std::string_view xml) {
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8)) return {};
  pugi::xml_node error = document.child("Error");
  if (!error) error = document.child("ErrorResponse").child("Error");  // STS
  return {error.child_value("Code"), error.child_value("Message"), error.child_value("Region")};
}

}  // namespace cacheclip
