#include "common/catalog/redis/catalog_scripts.h"

#include <string>

namespace cacheclip {
namespace {

// Every script of a namespace begins with this.
constexpr char kNamespaceExists[] = R"lua(
if redis.call('HEXISTS', KEYS[1], 'created') == 0 then
  return redis.error_reply('NONAMESPACE the namespace does not exist')
end
)lua";

// bucket(kind, id): the key among KEYS. is_live(references, id, after): does a current document that expires
// later than `after` ("-": any) use the chunk? References sort by chunk, then expiry: from the latest down,
// the first current one decides; others are being written or cleaned up, hence few.
constexpr char kReferences[] = R"lua(
local by_bucket = {}
for _, key in ipairs(KEYS) do by_bucket[string.match(key, '}:(%a+:%x%x)$') or key] = key end
local function bucket(kind, id) return by_bucket[kind .. ':' .. string.sub(id, 1, 2)] end
local function is_live(live, references, id, after)
  local offset = 0
  while true do
    local members = redis.call('ZREVRANGEBYLEX', references, '(' .. id .. 'g', '(' .. id .. after .. 'g',
                               'LIMIT', offset, 8)
    for _, member in ipairs(members) do
      if redis.call('SISMEMBER', live, string.sub(member, 81)) == 1 then return true end
    end
    if #members < 8 then return false end
    offset = offset + 8
  end
end
)lua";

constexpr char kRegisterNamespace[] = R"lua(
local created = redis.call('HGET', KEYS[1], ARGV[1])
if created then return created end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then
  return redis.error_reply('TOOMANY namespaces')
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return ARGV[2]
)lua";

constexpr char kPutPrefix[] = R"lua(
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[4]) then
  return redis.error_reply('TOOMANY prefixes')
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'default_prefix', ARGV[1])
elseif redis.call('HGET', KEYS[1], 'default_prefix') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'default_prefix')
end
return 1
)lua";

constexpr char kGetPrefix[] = R"lua(
local default = redis.call('HGET', KEYS[1], 'default_prefix') or ''
local id = ARGV[1] == '' and default or ARGV[1]
return {default, id, redis.call('HGET', KEYS[2], id)}
)lua";

constexpr char kStage[] = R"lua(
local revision, now, expiry = ARGV[1], ARGV[2], ARGV[3]
if redis.call('HEXISTS', KEYS[2], ARGV[4]) == 0 then
  return redis.error_reply('NOPREFIX the prefix does not exist')
end
if ARGV[5] ~= '0' and redis.call('HEXISTS', KEYS[3], revision) == 0 then
  return redis.error_reply('GONE the write was given up')
end
redis.call('HSET', KEYS[3], revision, now .. expiry)
if ARGV[6] ~= '' and redis.call('LLEN', KEYS[6]) == tonumber(ARGV[5]) then
  redis.call('RPUSH', KEYS[6], ARGV[6])
end
local sequence = redis.call('HINCRBY', KEYS[1], 'sequence', 1)
local unused = {}
for i = 7, #ARGV, 2 do
  local id, record = ARGV[i], ARGV[i + 1]
  local references, chunks = bucket('references', id), bucket('chunks', id)
  if not is_live(KEYS[4], references, id, '-') then unused[#unused + 1] = id end
  redis.call('ZADD', references, 0, id .. expiry .. revision)
  redis.call('HDEL', KEYS[5], id)
  local old = redis.call('HGET', chunks, id)
  if not old then
    redis.call('HSET', chunks, id, record)
  elseif old ~= record then
    redis.call('HSET', KEYS[7], id, record)
  end
end
return {sequence, redis.call('HLEN', KEYS[7]), unused}
)lua";

constexpr char kCommit[] = R"lua(
local revision, now, expiry, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('HEXISTS', KEYS[2], revision) == 0 then
  if redis.call('SISMEMBER', KEYS[3], revision) == 1 then return '' end
  return redis.error_reply('GONE the write was given up')
end
local old = redis.call('HGET', KEYS[5], id)
local created, replaced = now, ''
if old and string.sub(old, 17, 32) > now then created = string.sub(old, 33, 48) end
redis.call('HSET', KEYS[5], id, revision .. expiry .. created .. now .. ARGV[5] .. ARGV[6])
if old then
  replaced = string.sub(old, 1, 16)
  local old_expiry = string.sub(old, 17, 32)
  redis.call('SREM', KEYS[3], replaced)
  redis.call('ZREM', KEYS[6], old_expiry .. id)
  redis.call('HSET', KEYS[7], replaced, old_expiry)
end
redis.call('SADD', KEYS[3], revision)
redis.call('ZADD', KEYS[4], 0, id)
if expiry ~= 'ffffffffffffffff' then redis.call('ZADD', KEYS[6], 0, expiry .. id) end
redis.call('HDEL', KEYS[2], revision)
local changes = redis.call('HGETALL', KEYS[8])
for i = 1, #changes, 2 do redis.call('HSET', bucket('chunks', changes[i]), changes[i], changes[i + 1]) end
redis.call('DEL', KEYS[8])
return replaced
)lua";

constexpr char kAbandon[] = R"lua(
local staged = redis.call('HGET', KEYS[1], ARGV[1])
if not staged or string.sub(staged, 1, 16) >= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], string.sub(staged, 17, 32))
return 1
)lua";

constexpr char kDrop[] = R"lua(
local id, now, condition = ARGV[1], ARGV[2], ARGV[3]
local document = redis.call('HGET', KEYS[4], id)
if not document then return false end
local revision, expiry = string.sub(document, 1, 16), string.sub(document, 17, 32)
local holds = condition == revision
if condition == 'living' then holds = expiry > now end
if condition == 'expired' then holds = expiry <= now end
if not holds then return false end
redis.call('SREM', KEYS[2], revision)
redis.call('ZREM', KEYS[3], id)
redis.call('HDEL', KEYS[4], id)
redis.call('ZREM', KEYS[5], expiry .. id)
redis.call('HSET', KEYS[6], revision, expiry)
return revision
)lua";

constexpr char kUnlink[] = R"lua(
local revision, length = ARGV[1], tonumber(ARGV[2])
local expiry = redis.call('HGET', KEYS[2], revision)
if not expiry or redis.call('LLEN', KEYS[6]) ~= length then return false end
redis.call('RPOP', KEYS[6])
local sequence = redis.call('HGET', KEYS[1], 'sequence') or '0'
local orphaned = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local references = bucket('references', id)
  if redis.call('ZREM', references, id .. expiry .. revision) == 1 and
     #redis.call('ZRANGEBYLEX', references, '[' .. id, '(' .. id .. 'g', 'LIMIT', 0, 1) == 0 then
    redis.call('HDEL', bucket('chunks', id), id)
    for _, pin in ipairs(redis.call('ZRANGEBYLEX', KEYS[4], '[' .. id, '(' .. id .. '\255')) do
      redis.call('ZREM', KEYS[4], pin)
      redis.call('HDEL', KEYS[5], pin)
    end
    redis.call('HSET', KEYS[3], id, sequence)
    orphaned[#orphaned + 1] = id
  end
end
if length <= 1 then
  redis.call('HDEL', KEYS[2], revision)
  redis.call('DEL', KEYS[7])
end
return {sequence, orphaned}
)lua";

constexpr char kRelease[] = R"lua(
local held = redis.call('ZSCORE', KEYS[1], ARGV[1])
if held and tonumber(held) <= tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end
return redis.call('EXISTS', KEYS[1]) == 0 and 1 or 0
)lua";

constexpr char kListOrphans[] = R"lua(
return {redis.call('HGET', KEYS[1], 'sequence') or '0', redis.call('HRANDFIELD', KEYS[2], 256)}
)lua";

constexpr char kAdoptOrphan[] = R"lua(
local id = ARGV[1]
if tonumber(redis.call('HGET', KEYS[1], 'sequence') or '0') < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'sequence', ARGV[2])
end
if #redis.call('ZRANGEBYLEX', KEYS[3], '[' .. id, '(' .. id .. 'g', 'LIMIT', 0, 1) > 0 then return 0 end
redis.call('HSET', KEYS[2], id, redis.call('HGET', KEYS[1], 'sequence') or '0')
return 1
)lua";

constexpr char kForgetOrphans[] = R"lua(
for i = 2, #ARGV do
  local sequence = redis.call('HGET', KEYS[1], ARGV[i])
  if sequence and tonumber(sequence) <= tonumber(ARGV[1]) then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 1
)lua";

constexpr char kResolve[] = R"lua(
local records, num_bytes = {}, 0
for i = 2, #ARGV do
  local id = ARGV[i]
  local record = is_live(KEYS[2], bucket('references', id), id, ARGV[1]) and
                 redis.call('HGET', bucket('chunks', id), id)
  records[i - 1] = record
  num_bytes = num_bytes + (record and #record or 0)
  if num_bytes > 67108864 then return redis.error_reply('TOOLARGE records of more than 64 MiB') end
end
return records
)lua";

constexpr char kPin[] = R"lua(
for i = 4, #ARGV do
  if not is_live(KEYS[2], bucket('references', ARGV[i]), ARGV[i], ARGV[1]) then return i - 3 end
end
for i = 4, #ARGV do
  redis.call('HSET', KEYS[4], ARGV[i] .. ARGV[2], ARGV[3])
  redis.call('ZADD', KEYS[3], 0, ARGV[i] .. ARGV[2])
end
return 0
)lua";

constexpr char kUnpin[] = R"lua(
local num_removed = 0
for i = 2, #ARGV do
  num_removed = num_removed + redis.call('ZREM', KEYS[2], ARGV[i] .. ARGV[1])
  redis.call('HDEL', KEYS[3], ARGV[i] .. ARGV[1])
end
return num_removed
)lua";

constexpr char kListPins[] = R"lua(
local after, limit, found = ARGV[1], tonumber(ARGV[2]), {''}
for _ = 1, 16 do
  local pins = redis.call('ZRANGEBYLEX', KEYS[2], '(' .. after, '+', 'LIMIT', 0, 256)
  for _, pin in ipairs(pins) do
    after = pin
    local expiry = redis.call('HGET', KEYS[3], pin)
    if expiry and expiry > ARGV[3] then
      found[#found + 1] = pin
      found[#found + 1] = expiry
    end
    if #found > 2 * limit then break end
  end
  if #pins < 256 and #found <= 2 * limit then return found end
  if #found > 2 * limit then break end
end
found[1] = after
return found
)lua";

constexpr char kSweepPins[] = R"lua(
local pins = redis.call('ZRANGEBYLEX', KEYS[1], '(' .. ARGV[1], '+', 'LIMIT', 0, 512)
for _, pin in ipairs(pins) do
  local expiry = redis.call('HGET', KEYS[2], pin)
  if not expiry or expiry <= ARGV[2] then
    redis.call('ZREM', KEYS[1], pin)
    redis.call('HDEL', KEYS[2], pin)
  end
end
return #pins == 512 and pins[512] or ''
)lua";

RedisScript OfNamespace(const char* body) { return RedisScript(std::string(kNamespaceExists) + body); }
RedisScript WithReferences(const char* body) {
  return RedisScript(std::string(kNamespaceExists) + kReferences + body);
}

}  // namespace

const CatalogScripts& CatalogScripts::Get() {
  static const auto* const kScripts = new CatalogScripts{
      .register_namespace = RedisScript(kRegisterNamespace),
      .put_prefix = OfNamespace(kPutPrefix),
      .get_prefix = OfNamespace(kGetPrefix),
      .stage = WithReferences(kStage),
      .commit = WithReferences(kCommit),
      .abandon = RedisScript(kAbandon),
      .drop = OfNamespace(kDrop),
      .unlink = WithReferences(kUnlink),
      .release = RedisScript(kRelease),
      .list_orphans = OfNamespace(kListOrphans),
      .adopt_orphan = OfNamespace(kAdoptOrphan),
      .forget_orphans = RedisScript(kForgetOrphans),
      .resolve = WithReferences(kResolve),
      .pin = WithReferences(kPin),
      .unpin = OfNamespace(kUnpin),
      .list_pins = OfNamespace(kListPins),
      .sweep_pins = RedisScript(kSweepPins),
  };
  return *kScripts;
}

}  // namespace cacheclip
