// The Lua scripts that change the catalogue, each atomic and bounded: one batch of chunks, one document's
// switch, one page. A script names all its keys (KEYS), so that Redis Cluster refuses it (TRYAGAIN) instead
// of running it beside keys that have just moved; buckets are recognised by the last two digits of their
// name. Times are arguments. Unless said otherwise a script answers with the error code NONAMESPACE when
// KEYS[1], the namespace's info, does not exist. A script that may be sent twice after a lost connection
// answers the second time as it did the first. Constant; thread-safe.
#pragma once

#include "common/redis/redis_client.h"

namespace cacheclip {

struct CatalogScripts {
  // Error codes that scripts answer with (RedisErrorCode()).
  static constexpr char kNoNamespace[] = "NONAMESPACE";
  static constexpr char kNoPrefix[] = "NOPREFIX";
  static constexpr char kTooMany[] = "TOOMANY";
  static constexpr char kGone[] = "GONE";          // the staged revision was given up meanwhile
  static constexpr char kTooLarge[] = "TOOLARGE";  // more bytes than a reply may have

  // registry; name, now, limit -> when the namespace was created. TOOMANY; never NONAMESPACE.
  RedisScript register_namespace;
  // info, prefixes; id, record, "1" if default, limit. TOOMANY.
  RedisScript put_prefix;
  // info, prefixes; id or "" for the default -> {id of the default or "", id, record or nil}.
  RedisScript get_prefix;

  // Adds a batch of references and records under a revision that nobody sees yet.
  // info, prefixes, staged, live, orphans, uses:r, changes:r, references and chunks of the buckets;
  // r, now, expiry, prefix id, index of the batch, packed uses or "", then chunk id and record in turn
  // -> {sequence, number of changed records, ids that no live document uses}. NOPREFIX, GONE.
  RedisScript stage;
  // Makes the staged revision the document, in one step.
  // info, staged, live, document-ids, documents, expiring, dead, changes:r, chunks of the changed buckets;
  // r, now, expiry, document id, number of uses, body -> the revision replaced or "". GONE.
  RedisScript commit;
  // Gives up a staged revision last written before `limit`. staged, dead; r, limit -> 1 if it did.
  RedisScript abandon;

  // Takes a document away if `condition` holds: "living", "expired" or the revision it must have.
  // info, live, document-ids, documents, expiring, dead; document id, now, condition -> revision or nil.
  RedisScript drop;
  // Drops the references of the last batch of a dead revision, and of `length` batches none but that.
  // info, dead, orphans, pins, pin-times, uses:r, changes:r, references and chunks of the buckets;
  // r, length, chunk ids -> {sequence, ids left without any reference} or nil when it is not as said.
  RedisScript unlink;
  // In the chunk's own slot: holders; namespace, sequence -> 1 if no namespace holds the chunk now.
  RedisScript release;
  // info, orphans -> {sequence, some of the ids}.
  RedisScript list_orphans;
  // Makes an orphan of a chunk without references, so that the next sweep releases it.
  // Also moves the namespace's sequence up to that of a hold, in case the server lost some of it.
  // info, orphans, references; id, sequence of the hold -> 1 if it did.
  RedisScript adopt_orphan;
  // orphans; sequence, ids.
  RedisScript forget_orphans;

  // info, live, references and chunks of the buckets; now, ids -> a record or nil for each. TOOLARGE.
  RedisScript resolve;
  // info, live, pins, pin-times, references; now, owner, expiry, ids -> 0, or the place (from 1) of the first
  // id that does not resolve.
  RedisScript pin;
  // info, pins, pin-times; owner, ids -> number removed.
  RedisScript unpin;
  // info, pins, pin-times; after, limit, now -> {where to go on or "", <chunk id><owner> and expiry in turn}.
  RedisScript list_pins;
  // pins, pin-times; after, now -> where to go on or "". Removes expired pins.
  RedisScript sweep_pins;

  static const CatalogScripts& Get();
};

}  // namespace cacheclip
