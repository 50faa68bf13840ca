//! What Redis does in one step. Loaded at every connection, called by their hash; each is bounded by its arguments.

/// Which script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Script {
    Remember,
    Find,
    Forget,
    KeepEarly,
    ServeEarly,
    OldEarly,
    EndEarly,
    Park,
    Unpark,
    Release,
    Return,
    Orphan,
    SweepParked,
    SweepOrphans,
}

/// All, in the order of the enum.
pub(super) const SCRIPTS: [&str; 14] = [
    REMEMBER,
    FIND,
    FORGET,
    KEEP_EARLY,
    SERVE_EARLY,
    OLD_EARLY,
    END_EARLY,
    PARK,
    UNPARK,
    RELEASE,
    RETURN,
    ORPHAN,
    SWEEP_PARKED,
    SWEEP_ORPHANS,
];

/// Keys: the hash of the message's day, those of the other days, the stream and the ids of early receipts. Arguments: id, the
/// correlation behind its length, most of one id, the id with its vendor. Gives 1 where other open messages have the id, which
/// are marked then; where receipts of it wait, that, what the days have under it, and entry, receipt and PDU of each.
const REMEMBER: &str = r"
local id, entry, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local shared = 0
for i = 2, #KEYS - 2 do
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
local waiting = redis.call('HGET', KEYS[#KEYS], ARGV[4])
if not waiting then return shared end
local open, early = {}, {}
for i = 1, #KEYS - 2 do
  local found = redis.call('HGET', KEYS[i], id)
  if found then open[#open + 1] = found end
end
for name in waiting:gmatch('%S+') do
  local found = redis.call('XRANGE', KEYS[#KEYS - 1], name, name)[1]
  if found then early[#early + 1] = {name, found[2][4], found[2][6]} end
end
return {shared, open, early}
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

/// Drops the correlation of one message.
macro_rules! forget {
    () => {
        r"
local function forget(hash, id, message)
local value = redis.call('HGET', hash, id)
if not value then return 0 end
local kept, at, dropped = value:sub(1, 1), 2, 0
while at <= #value do
  local to = at + value:byte(at)
  if value:sub(at + 1, at + 8) == message then dropped = dropped + 1 else kept = kept .. value:sub(at, to) end
  at = to + 1
end
if #kept == 1 then
  redis.call('HDEL', hash, id)
elseif dropped > 0 then
  redis.call('HSET', hash, id, kept)
end
return dropped
end
"
    };
}

/// Key: the hash of a day. Arguments: id, gateway id of the message. Gives how many were dropped.
const FORGET: &str = concat!(forget!(), "return forget(KEYS[1], ARGV[1], ARGV[2])");

/// Takes one early receipt out of stream and ids; gives its fields where it was there.
macro_rules! drop_early {
    () => {
        r"
local function drop(stream, ids, name)
  local found = redis.call('XRANGE', stream, name, name)[1]
  if not found then return nil end
  redis.call('XDEL', stream, name)
  local field, left = found[2][2], ''
  for other in (redis.call('HGET', ids, field) or ''):gmatch('%S+') do
    if other ~= name then left = left == '' and other or left .. ' ' .. other end
  end
  if left == '' then redis.call('HDEL', ids, field) else redis.call('HSET', ids, field, left) end
  return found[2]
end
"
    };
}

/// Keys: the hashes of all days, the stream and the ids of early receipts. Arguments: id, the id with its vendor, most of all,
/// receipt, PDU, most of one id. Gives the entry, how many gave way, how many there are, and what the days have under the id.
const KEEP_EARLY: &str = concat!(
    drop_early!(),
    r"
local stream, ids = KEYS[#KEYS - 1], KEYS[#KEYS]
local dropped = 0
local waiting, count, first = redis.call('HGET', ids, ARGV[2]) or '', 0, nil
for name in waiting:gmatch('%S+') do
  first = first or name
  count = count + 1
end
if count >= tonumber(ARGV[6]) then
  drop(stream, ids, first)
  dropped = 1
  waiting = redis.call('HGET', ids, ARGV[2]) or ''
end
local name = redis.call('XADD', stream, '*', 'k', ARGV[2], 'n', ARGV[4], 'p', ARGV[5])
redis.call('HSET', ids, ARGV[2], waiting == '' and name or waiting .. ' ' .. name)
local over = math.min(redis.call('XLEN', stream) - tonumber(ARGV[3]), 64)
if over > 0 then
  for _, old in ipairs(redis.call('XRANGE', stream, '-', '+', 'COUNT', over)) do
    drop(stream, ids, old[1])
    dropped = dropped + 1
  end
end
local open = {}
for i = 1, #KEYS - 2 do
  local found = redis.call('HGET', KEYS[i], ARGV[1])
  if found then open[#open + 1] = found end
end
return {name, dropped, redis.call('XLEN', stream), open}
"
);

/// Keys: the stream and the ids of early receipts, the account's stream, its other stream, number of all parked, accounts, the
/// hash of the message's day. Arguments: entry, most of the account, most of all, account, PDU or nothing, id, gateway id or nothing,
/// channel, hint, 1 where a receipt without room waits once more from now on. Gives whether the receipt is parked now, the number of all parked, and of early receipts.
const SERVE_EARLY: &str = concat!(
    drop_early!(),
    forget!(),
    r"
local total = tonumber(redis.call('GET', KEYS[5]) or '0')
local here = redis.call('XLEN', KEYS[3]) + redis.call('XLEN', KEYS[4])
local served = 0
local room = ARGV[5] == '' or here < tonumber(ARGV[2]) and total < tonumber(ARGV[3])
if not room and ARGV[10] == '1' then
  local found = drop(KEYS[1], KEYS[2], ARGV[1])
  if found then
    local name = redis.call('XADD', KEYS[1], '*', unpack(found))
    local waiting = redis.call('HGET', KEYS[2], found[2])
    redis.call('HSET', KEYS[2], found[2], waiting and waiting .. ' ' .. name or name)
  end
elseif room and drop(KEYS[1], KEYS[2], ARGV[1]) then
  if ARGV[5] ~= '' then
    redis.call('XADD', KEYS[3], '*', 'p', ARGV[5])
    total = redis.call('INCR', KEYS[5])
    redis.call('SADD', KEYS[6], ARGV[4])
    redis.call('PUBLISH', ARGV[8], ARGV[9])
  end
  if ARGV[7] ~= '' then forget(KEYS[7], ARGV[6], ARGV[7]) end
  served = 1
end
return {served, total, redis.call('XLEN', KEYS[1])}
"
);

/// Key: the stream of early receipts. Arguments: age in milliseconds, how many. Gives the oldest of that age.
const OLD_EARLY: &str = r"
local now = redis.call('TIME')
local oldest = now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(ARGV[1])
return redis.call('XRANGE', KEYS[1], '-', string.format('%.0f', oldest), 'COUNT', ARGV[2])
";

/// Keys: the stream and the ids of early receipts, the stream of orphans. Arguments: entry, most orphans, vendor. Gives whether
/// it is an orphan now, how many orphans gave way, how many there are, and how many early receipts.
const END_EARLY: &str = concat!(
    drop_early!(),
    r"
local found, ended, dropped = drop(KEYS[1], KEYS[2], ARGV[1]), 0, 0
if found then
  redis.call('XADD', KEYS[3], '*', 'v', ARGV[3], 'p', found[6])
  dropped = redis.call('XTRIM', KEYS[3], 'MAXLEN', ARGV[2])
  ended = 1
end
return {ended, dropped, redis.call('XLEN', KEYS[3]), redis.call('XLEN', KEYS[1])}
"
);

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
  -- Not when it is handed out: without memory left that would fail, and what is there could not be had.
  redis.pcall('XGROUP', 'CREATE', KEYS[1], 'g', '0')
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

/// Key: stream. Arguments: most, then vendor and PDU of each. The oldest give way. Gives how many did, and how many there
/// are.
const ORPHAN: &str = r"
for at = 2, #ARGV, 2 do
  redis.call('XADD', KEYS[1], '*', 'v', ARGV[at], 'p', ARGV[at + 1])
end
local dropped = redis.call('XTRIM', KEYS[1], 'MAXLEN', ARGV[1])
return {dropped, redis.call('XLEN', KEYS[1])}
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
