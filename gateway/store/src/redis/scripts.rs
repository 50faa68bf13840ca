//! What Redis does in one step. Loaded at every connection, called by their hash; each is bounded by its arguments.

/// Which script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Script {
    Remember,
    Find,
    Forget,
    Park,
    Unpark,
    Release,
    Return,
    Orphan,
    SweepParked,
    SweepOrphans,
}

/// All, in the order of the enum.
pub(super) const SCRIPTS: [&str; 10] =
    [REMEMBER, FIND, FORGET, PARK, UNPARK, RELEASE, RETURN, ORPHAN, SWEEP_PARKED, SWEEP_ORPHANS];

/// Keys: the hash of the message's day, those of the other days. Arguments: id, the correlation behind its length, most of
/// one id. Gives 1 where other open messages have the id, which are marked then.
const REMEMBER: &str = r"
local id, entry, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local shared = 0
for i = 2, #KEYS do
  local other = redis.call('HGET', KEYS[i], id)
  if other then
    shared = 1
    if other:byte(1) == 0 then redis.call('HSET', KEYS[i], id, '\1' .. other:sub(2)) end
  end
end
local value, kept, count, at = redis.call('HGET', KEYS[1], id) or '\0', '', 0, 2
while at <= #value do
  local to = at + value:byte(at)
  if value:sub(at + 1, at + 8) ~= entry:sub(2, 9) then
    kept = kept .. value:sub(at, to)
    count = count + 1
  end
  at = to + 1
end
if count >= most then kept = kept:sub(2 + kept:byte(1)) end
if count > 0 or value:byte(1) == 1 then shared = 1 end
redis.call('HSET', KEYS[1], id, (shared == 1 and '\1' or '\0') .. kept .. entry)
return shared
";

/// Keys: the hashes of all days. Argument: id. Gives what each has under it.
const FIND: &str = r"
local found = {}
for i = 1, #KEYS do
  local value = redis.call('HGET', KEYS[i], ARGV[1])
  if value then found[#found + 1] = value end
end
return found
";

/// Key: the hash of a day. Arguments: id, gateway id of the message. Gives how many were dropped.
const FORGET: &str = r"
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then return 0 end
local kept, at, dropped = value:sub(1, 1), 2, 0
while at <= #value do
  local to = at + value:byte(at)
  if value:sub(at + 1, at + 8) == ARGV[2] then dropped = dropped + 1 else kept = kept .. value:sub(at, to) end
  at = to + 1
end
if #kept == 1 then
  redis.call('HDEL', KEYS[1], ARGV[1])
elseif dropped > 0 then
  redis.call('HSET', KEYS[1], ARGV[1], kept)
end
return dropped
";

/// Keys: stream, the account's other stream, number of all, accounts. Arguments: most of the account, most of all,
/// account, then the PDUs. Gives how many of them were taken, the first ones, and the number of all.
const PARK: &str = r"
local total = tonumber(redis.call('GET', KEYS[3]) or '0')
local here = redis.call('XLEN', KEYS[1]) + redis.call('XLEN', KEYS[2])
local room = math.min(tonumber(ARGV[1]) - here, tonumber(ARGV[2]) - total, #ARGV - 3)
local taken = 0
while taken < room do
  taken = taken + 1
  redis.call('XADD', KEYS[1], '*', 'p', ARGV[3 + taken])
end
if taken > 0 then
  total = redis.call('INCRBY', KEYS[3], taken)
  redis.call('SADD', KEYS[4], ARGV[3])
end
return {taken, total}
";

/// Keys: urgent stream, bulk stream. Arguments: how many, consumer, idle milliseconds after which a consumer is taken
/// for dead. Gives how many are with consumers, and the entries: class (1 urgent, 2 bulk), id, PDU. First what came
/// back, then what is new, then what dead consumers hold.
const UNPARK: &str = r"
local out, left, pending = {}, tonumber(ARGV[1]), 0
for class = 1, 2 do
  local key = KEYS[class]
  local function take(entries)
    for i = 1, #entries do
      local entry = entries[i]
      if entry and entry[2] then
        left = left - 1
        out[#out + 1] = {class, entry[1], entry[2][2]}
      end
    end
  end
  if redis.call('EXISTS', key) == 1 then
    redis.pcall('XGROUP', 'CREATE', key, 'g', '0')
    if left > 0 then
      local back = redis.call('XPENDING', key, 'g', '-', '+', left, 'free')
      if #back > 0 then
        local claim = {'XCLAIM', key, 'g', ARGV[2], '0'}
        for i = 1, #back do claim[#claim + 1] = back[i][1] end
        take(redis.call(unpack(claim)))
      end
    end
    if left > 0 then
      local new = redis.call('XREADGROUP', 'GROUP', 'g', ARGV[2], 'COUNT', left, 'STREAMS', key, '>')
      if new then take(new[1][2]) end
    end
    if left > 0 then
      take(redis.call('XAUTOCLAIM', key, 'g', ARGV[2], ARGV[3], '0-0', 'COUNT', left)[2])
    end
    pending = pending + tonumber(redis.call('XPENDING', key, 'g')[1])
  end
end
return {pending, out}
";

/// Keys: stream, number of all. Arguments: ids. Gives how many were dropped, and the number of all.
const RELEASE: &str = r"
redis.call('XACK', KEYS[1], 'g', unpack(ARGV))
local dropped = redis.call('XDEL', KEYS[1], unpack(ARGV))
local total
if dropped > 0 then
  total = redis.call('DECRBY', KEYS[2], dropped)
  if redis.call('XLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[1]) end
else
  total = tonumber(redis.call('GET', KEYS[2]) or '0')
end
return {dropped, total}
";

/// Key: stream. Arguments: ids, which any node can take at once. A stream that is gone has nothing to give back.
const RETURN: &str = r"
local back = redis.pcall('XCLAIM', KEYS[1], 'g', 'free', '0', unpack(ARGV))
return type(back) == 'table' and not back.err and #back or 0
";

/// Key: stream. Arguments: most, then vendor and PDU of each. Gives how many were taken and how many there are.
const ORPHAN: &str = r"
local length, taken = redis.call('XLEN', KEYS[1]), 0
while 2 + 2 * taken <= #ARGV and length < tonumber(ARGV[1]) do
  redis.call('XADD', KEYS[1], '*', 'v', ARGV[2 + 2 * taken], 'p', ARGV[3 + 2 * taken])
  taken = taken + 1
  length = length + 1
end
return {taken, length}
";

/// Keys: urgent stream, bulk stream, number of all, accounts. Arguments: oldest id to keep, account. Gives how many
/// were given up, and the number of all.
const SWEEP_PARKED: &str = r"
local dropped, left = 0, 0
for class = 1, 2 do
  dropped = dropped + redis.call('XTRIM', KEYS[class], 'MINID', ARGV[1])
  local length = redis.call('XLEN', KEYS[class])
  if length == 0 then redis.call('DEL', KEYS[class]) end
  left = left + length
end
local total
if dropped > 0 then
  total = redis.call('DECRBY', KEYS[3], dropped)
else
  total = tonumber(redis.call('GET', KEYS[3]) or '0')
end
if left == 0 then redis.call('SREM', KEYS[4], ARGV[2]) end
return {dropped, total}
";

/// Key: stream. Argument: oldest id to keep. Gives how many were given up and how many there are.
const SWEEP_ORPHANS: &str = r"
local dropped = redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1])
return {dropped, redis.call('XLEN', KEYS[1])}
";
