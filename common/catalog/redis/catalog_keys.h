// The names of the catalogue's keys on Redis. All keys of a namespace share the hash tag {<namespace>}, so
// that a script that names them runs on one node of a cluster; scripts name every key that they touch. None
// has a TTL. docs/catalog-on-redis.md has the table with types and contents.
//
//   <root>:{*}:namespaces          hash: name -> created; the registry          <root>:{*}:layout  version
//   <root>:{<ns>}:info             hash: created, default_prefix, sequence
//   <root>:{<ns>}:prefixes         hash: prefix id -> record
//   <root>:{<ns>}:document-ids     sorted set in byte order: what ListDocuments() pages through
//   <root>:{<ns>}:documents:<bb>   hash: document id -> record with its revision
//   <root>:{<ns>}:uses:<revision>  list of batches: the chunks of one version of a document, in order
//   <root>:{<ns>}:chunks:<bb>      hash: chunk id -> record
//   <root>:{<ns>}:references:<bb>  sorted set: <chunk id><expiry><revision>; what is counted
//   <root>:{<ns>}:live|staged|dead revisions: current, being written, being cleaned up
//   <root>:{<chunk id>}:holders    sorted set: namespaces that may use the chunk's bytes, score = sequence
//
// <bb> is one of 256 buckets, which keep single keys small enough to move between nodes. Values only;
// thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cacheclip {

// Keys outside any namespace. '*' is in no namespace's name.
std::string RegistryKey(std::string_view root);
std::string LayoutKey(std::string_view root);
std::string HoldersKey(std::string_view root, std::string_view chunk_id);
std::string HoldersPattern(std::string_view root);  // for SCAN
// The chunk id in a key that HoldersPattern() found.
std::string ChunkIdOfHoldersKey(std::string_view root, std::string_view key);

inline constexpr int kNumCatalogBuckets = 256;

std::string ChunkBucket(std::string_view chunk_id);        // its first two digits
std::string DocumentBucket(std::string_view document_id);  // two digits of its checksum
std::string BucketName(int index);                         // "00" … "ff"

class NamespaceKeys {
 public:
  NamespaceKeys(std::string_view root, std::string_view namespace_name);

  std::string info() const { return base_ + "info"; }
  std::string prefixes() const { return base_ + "prefixes"; }
  std::string document_ids() const { return base_ + "document-ids"; }
  std::string documents(std::string_view bucket) const;
  std::string uses(std::string_view revision) const;
  std::string changes(std::string_view revision) const;  // records that differ from the ones in chunks:<bb>
  std::string chunks(std::string_view bucket) const;
  std::string references(std::string_view bucket) const;
  std::string expiring() const { return base_ + "expiring"; }    // sorted set: <expiry><document id>
  std::string live() const { return base_ + "live"; }            // set of revisions
  std::string staged() const { return base_ + "staged"; }        // hash: revision -> <last write><expiry>
  std::string dead() const { return base_ + "dead"; }            // hash: revision -> <expiry>
  std::string orphans() const { return base_ + "orphans"; }      // hash: chunk id -> sequence
  std::string pins() const { return base_ + "pins"; }            // sorted set: <chunk id><owner>
  std::string pin_times() const { return base_ + "pin-times"; }  // hash: <chunk id><owner> -> expiry

 private:
  std::string base_;  // "<root>:{<namespace>}:"
};

// Adds references:<bb>, and chunks:<bb> if asked for, of every bucket that one of the chunks is in, once.
enum class BucketKinds { kReferences, kReferencesAndChunks };
void AddBucketKeys(const NamespaceKeys& keys, std::span<const std::string> chunk_ids, BucketKinds kinds,
                   std::vector<std::string>& out);

}  // namespace cacheclip
