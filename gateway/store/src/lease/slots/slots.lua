-- One round of a node, for all vendors at once. One hash for each vendor; its fields:
--   run             which life of which server wrote it last
--   last            when that was
--   closed          until when no slot changes hands, because leases may be missing, or renewals were
--   torn            the same where the table itself may lack holdings: another server or life, or none
--   over            since when one node has more than its share while another waits
--   m<member>       until takes turn address      a node that is alive, and its last question
--   s<slot>         member until fence keeps      who has a slot; member - has given it back
-- All times are milliseconds of this server's clock. Bounded by the nodes and the vendor's slots.
--
-- Keys: the hashes. Arguments: member, address, life, grace, patience (milliseconds each), keeps (1: what this node
-- holds never lapses), time and run (empty: this server's own; tests give them), then for each vendor: its number, its
-- slots, takes (1: this node wants a share), the number of the question, and twice a count with slot and fence of each: held, given back.
-- Gives for each vendor, nothing for a question that comes too late, else: milliseconds until slots change hands again, then slot, fence, whose (0 nobody's, 1 the
-- asker's, 2 the asker's and to be given up, 3 another's), that one's node and address.
local member, address = ARGV[1], ARGV[2]
local life, grace, patience, keeps = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local now, run = tonumber(ARGV[7]), ARGV[8]
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
end
local node_of = function(name) return tonumber(string.sub(name, 1, 3)) end
local whole = function(number) return string.format('%.0f', number) end
local place = 8
local function argument()
  place = place + 1
  return ARGV[place]
end
local function number() return tonumber(argument()) end

local function round(key)
  local vendor, total, takes, turn = number(), number(), argument(), number()
  local held, released = {}, {}
  for i = 1, number() do held[i] = {slot = number(), fence = number()} end
  for i = 1, number() do released[i] = {slot = number(), fence = number()} end
  local members, slots, written = {}, {}, {}
  local fields = redis.call('HGETALL', key)
  local state = {}
  for i = 1, #fields, 2 do
    local kind, name, value = string.sub(fields[i], 1, 1), string.sub(fields[i], 2), fields[i + 1]
    if kind == 'm' then
      local till, wants, turns, where = string.match(value, '^(%d+) (%d) (%d+) (.*)$')
      members[name] = {till = tonumber(till), takes = wants, turn = tonumber(turns), address = where}
    elseif kind == 's' then
      local who, till, fence, kept = string.match(value, '^(%S+) (%d+) (%d+) (%d)$')
      slots[tonumber(name)] = {who = who, till = tonumber(till), fence = tonumber(fence), keeps = kept}
    else
      state[fields[i]] = value
    end
  end
  -- A question that was under way for long: a newer one has been answered.
  if members[member] and members[member].turn >= turn then return {} end
  local function write(name, value)
    written[#written + 1] = name
    written[#written + 1] = value
  end
  local function put(slot, who, till, fence, kept)
    slots[slot] = {who = who, till = till, fence = fence, keeps = kept}
    write('s' .. slot, who .. ' ' .. whole(till) .. ' ' .. whole(fence) .. ' ' .. kept)
  end
  -- A gap that no asker accounts for, a clock that went back, another server or life: leases may be missing here.
  local last, closed = tonumber(state['last'] or '0'), tonumber(state['closed'] or '0')
  local torn = tonumber(state['torn'] or '0')
  if state['run'] ~= run or now < last or now - last > life / 4 then
    closed = now + life + grace
    state['over'] = '0'
    write('over', '0')
    write('closed', whole(closed))
    -- Also where the clock went back: no later than that.
    if state['run'] ~= run or torn > closed then
      torn = closed
      write('torn', whole(torn))
    end
    write('run', run)
    for slot, held in pairs(slots) do
      if held.till > now + life then put(slot, held.who, now + life, held.fence, held.keeps) end
    end
    for name, other in pairs(members) do
      if other.till > now + life then
        other.till = now
        write('m' .. name, whole(now) .. ' ' .. other.takes .. ' ' .. other.turn .. ' ' .. other.address)
      end
    end
  end
  write('last', whole(now))
  members[member] = {till = now + life, takes = takes, turn = turn, address = address}
  write('m' .. member, whole(now + life) .. ' ' .. takes .. ' ' .. turn .. ' ' .. address)
  -- What the asker has.
  local mine, count = {}, 0
  for _, hold in ipairs(released) do
    local there = slots[hold.slot]
    if there and there.who == member and there.fence == hold.fence then put(hold.slot, '-', now, hold.fence, '0') end
  end
  for _, claim in ipairs(held) do
    local there = slots[claim.slot]
    local is_newer = there and there.fence < claim.fence and (now < closed or there.till < now)
    if not there or is_newer or (there.who == member and there.fence == claim.fence) then
      put(claim.slot, member, now + life, claim.fence, keeps)
      mine[claim.slot] = 1
      if claim.slot < total then count = count + 1 end
    end
  end
  -- Another life of a node means that those before it are dead, and what this one does not know of it never had a link
  -- on: that lapses, also where slots are kept. The grace counts from now, for nobody knows when that life died.
  for slot, there in pairs(slots) do
    if there.keeps == '1' and not mine[slot] and there.who ~= '-' and node_of(there.who) == node_of(member) then
      put(slot, there.who, math.max(there.till, now), there.fence, '0')
    end
  end
  -- Who is there, and what is everybody's share.
  local living = {}
  for name, other in pairs(members) do
    if other.till <= now then
      if other.till + 10 * life < now then
        members[name] = nil
        redis.call('HDEL', key, 'm' .. name)
      end
    elseif other.takes == '1' then
      living[#living + 1] = name
    end
  end
  table.sort(living)
  local share = {}
  for rank, name in ipairs(living) do
    local more = (rank - 1 + vendor) % #living < total % #living
    share[name] = math.floor(total / #living) + (more and 1 or 0)
  end
  -- Takes what is free up to that.
  local function is_free(slot)
    local there = slots[slot]
    if mine[slot] then return false end
    -- Nobody has had it since: after a stall its last holder has it back at once, unless the table is not to be believed.
    if there and there.who == member then return now >= torn end
    if now < closed then return false end
    if not there or there.who == '-' then return true end
    return there.till + grace <= now and there.keeps == '0'
  end
  for slot = 0, total - 1 do
    if count < (share[member] or 0) and is_free(slot) then
      local there = slots[slot]
      put(slot, member, now + life, math.max(there and there.fence + 1 or 0, now), keeps)
      mine[slot] = 1
      count = count + 1
    end
  end
  -- Gives one up where that helps a node that has less than its share for a while.
  local has, all_held, highest = {}, true, nil
  for slot = 0, total - 1 do
    local there = slots[slot]
    if there and there.who ~= '-' and there.till > now then
      has[there.who] = (has[there.who] or 0) + 1
    else
      all_held = false
    end
    if mine[slot] then highest = slot end
  end
  local waits, overfull = false, false
  for _, name in ipairs(living) do
    waits = waits or (has[name] or 0) < share[name]
    overfull = overfull or (has[name] or 0) > share[name]
  end
  local over = tonumber(state['over'] or '0')
  if not (all_held and waits and overfull) then
    if over > 0 then write('over', '0') end
  elseif over == 0 then
    write('over', whole(now))
  elseif now - over >= patience and share[member] and count > share[member] then
    mine[highest] = 2
    write('over', whole(now))
  end
  redis.call('HSET', key, unpack(written))
  -- The table, as the asker shall see it.
  local names, told = {}, {math.max(0, closed - now)}
  for slot in pairs(slots) do names[#names + 1] = slot end
  table.sort(names)
  for _, slot in ipairs(names) do
    local there, whose, where = slots[slot], 0, nil
    if mine[slot] then
      whose = slot < total and mine[slot] or 2
    elseif there.who ~= member and there.till > now and members[there.who] then
      whose, where = 3, members[there.who]
    end
    told[#told + 1] = slot
    told[#told + 1] = whole(there.fence)
    told[#told + 1] = whose
    told[#told + 1] = where and node_of(there.who) or 0
    told[#told + 1] = where and where.address or ''
  end
  return told
end

local tables = {}
for i = 1, #KEYS do tables[i] = round(KEYS[i]) end
return tables
