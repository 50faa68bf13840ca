-- Who has which node id. One hash; its fields are numbers, its values `identity seen second given holder`: who has it, when
-- that one was last heard of (milliseconds of this server's clock), a second that it gave no id beyond (Unix time),
-- and 1 once it was given back.
--
-- Arguments: what to do (take, renew, back), identity, silence in milliseconds after which a number is free, second, holder,
-- number (empty: any), the number of last time (empty: none). Gives 1, number and second for the asker's; 0, number,
-- holder and its silence for another's; -1 where none is free.
local key, what, identity, quiet = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local second, holder = tonumber(ARGV[4]), ARGV[5]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local whole = function(number) return string.format('%.0f', number) end
local function read(number)
  local value = redis.call('HGET', key, number)
  if not value then return nil end
  local who, seen, newest, given, name = string.match(value, '^(%x+) (%d+) (%d+) (%d) (.*)$')
  return {who = who, seen = tonumber(seen), second = tonumber(newest), given = given == '1', name = name}
end
local function is_free(there)
  return not there or there.given or there.who == identity or now - there.seen >= quiet
end
local function put(number, there, given)
  local newest = math.max(second, there and there.second or 0)
  redis.call('HSET', key, number,
    identity .. ' ' .. whole(now) .. ' ' .. whole(newest) .. ' ' .. given .. ' ' .. holder)
  return {1, tonumber(number), newest}
end
local function other(number, there) return {0, tonumber(number), there.name, math.max(0, now - there.seen)} end

if what ~= 'take' then
  local there = read(ARGV[6])
  if there and there.who ~= identity then return other(ARGV[6], there) end
  return put(ARGV[6], there, what == 'back' and '1' or '0')
end
local chosen
if ARGV[6] ~= '' then
  chosen = ARGV[6]
  if not is_free(read(chosen)) then return other(chosen, read(chosen)) end
elseif ARGV[7] ~= '' and is_free(read(ARGV[7])) then
  chosen = ARGV[7]
else
  -- One that nobody had, else the one that has been free for longest.
  local oldest
  for number = 0, 255 do
    local there = read(number)
    if not there then
      chosen = number
      break
    elseif is_free(there) and (not oldest or there.seen < oldest) then
      chosen, oldest = number, there.seen
    end
  end
  if not chosen then return {-1} end
end
-- A node has one number: those it had before are given back.
for number = 0, 255 do
  local there = read(number)
  if there and there.who == identity and not there.given and tostring(number) ~= tostring(chosen) then
    redis.call('HSET', key, number,
      identity .. ' ' .. whole(there.seen) .. ' ' .. whole(math.max(there.second, second)) .. ' 1 ' .. there.name)
  end
end
return put(chosen, read(chosen), '0')
