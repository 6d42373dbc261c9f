-- Moves due delayed items from their buckets to their queues, and removes buckets that are then empty.
--
-- KEYS[1]  lock      string  hostname:pid of the leader
-- KEYS[2]  schedule  zset    timestamps that have a bucket
-- KEYS[3]  queues    set     names of all queues
--
-- The script also writes the lists `queue:NAME` and, if needed, the quarantine; for each bucket, the list
-- `delayed:MEMBER`; and for each item the set `timestamps:ITEM` (the reverse index: buckets that hold this item).
-- Queues and quarantine are not among KEYS, because Redis refuses a whole script if its user may not use one of
-- KEYS. Buckets and sets are not, because that would double what is sent. In a cluster this is allowed, because
-- the hash tag of the namespace puts all keys into one slot.
--
-- ARGV[1]   our hostname:pid; nothing is done unless the lock holds it
-- ARGV[2]   how far a bucket's timestamp may be ahead of this server's clock, milliseconds (empty: any
--           time)
-- ARGV[3]   prefix of the item in the key of its reverse index
-- ARGV[4]   prefix of the member in the key of a bucket
-- ARGV[5]   prefix of the name in the key of a queue
-- ARGV[6]   the key of the quarantine
-- ARGV[7]   maximum number of records in the quarantine
-- ARGV[8]   number of items at the head of the first bucket that stay there and are skipped; or 0
-- ARGV[9]   the last one of these items. If it is no longer at its place, nothing of this bucket is moved
-- ARGV[10]  number of the queues: n
-- then their names
-- then for each bucket:
--   ARGV  its member in the schedule
--   ARGV  the header of its items that were read, from its head or after the items that are skipped
--   then for each run of items that have the same target and cut:
--     ARGV  its header, unless the bucket's header has a target: then the bucket has only this run
--     ARGV  the items, byte for byte; each is followed by its payload if there is no cut and it is pushed
--
-- A header is a number: (items * 65536 + cut) * 65536 + target.
--   items   how many: at most 1000, except for a bucket without a target
--   cut     number of bytes at the end of an item that `}` replaces to make the payload; or 0
--   target  0: none; 1: the items stay; 2: the quarantine; 2+i: queue i
--
-- Returns  nil   we do not hold the lease: nothing was done
--          flat  for each item that was not moved, its number (from 1), and
--                0       it is no longer at its place: an app removed it
--                2       too early by this server's clock, as are all items after it
--                3       it stays, as its target says
--                string  rejected: Redis' error (wrong type; or a missing right, which begins with
--                        `NOPERM`), or the quarantine is full; it stays
--          error a bucket is no longer a list: the buckets before it were moved
--
-- Atomic. Apps only append to a bucket or remove from it, so the items that were read and are still there are in
-- the same order. An item that was removed in between is not pushed; an item that was added in between stays. An
-- item that stays keeps its place, and the items after it are moved. If a queue rejects one item, it rejects all,
-- so the items of a queue keep their order. Nothing is decoded here, because cjson would change the arguments.

local call, pcall, sub = redis.call, redis.pcall, string.sub

-- Maximum number of arguments of a command, because Lua can unpack only a limited number.
local LONGEST = 1000

-- Caches of numbers by their texts, and of texts by their numbers. For small buckets, converting them takes longer
-- than the commands.
local number = setmetatable({}, { __index = function(known, text)
  known[text] = tonumber(text)
  return known[text]
end })
local text = setmetatable({}, { __index = function(known, number)
  known[number] = tostring(number)
  return known[number]
end })

-- Returns items, cut and target.
local function read_header(header)
  local target = number[header] % 65536
  local rest = (number[header] - target) / 65536
  local cut = rest % 65536
  return (rest - cut) / 65536, cut, target
end

if call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

-- The latest timestamp that is not too early. It protects against a wrong clock of the host.
local latest = math.huge
if ARGV[2] ~= "" then
  local time = call("TIME")
  latest = time[1] + time[2] / 1000000 + ARGV[2] / 1000
end

-- Whether a member is too early. A member that is no whole number, or not its own score, never is.
local function is_early(member)
  if (tonumber(member) or 0) <= latest or not member:find("^%d+$") then
    return false
  end
  for _, other in ipairs(call("ZRANGEBYSCORE", KEYS[2], member, member)) do
    if other == member then
      return true
    end
  end
  return false
end

local index, prefix, passed = ARGV[3], ARGV[4], number[ARGV[8]]
local STAYS, QUARANTINE = 1, 2
local targets, names = { [QUARANTINE] = ARGV[6] }, {}
for i = 1, number[ARGV[10]] do
  names[i] = ARGV[10 + i]
  targets[QUARANTINE + i] = ARGV[5] .. names[i]
end
for i = 1, #names, LONGEST do
  call("SADD", KEYS[3], unpack(names, i, math.min(i + LONGEST - 1, #names)))
end
local arg = 11 + #names

-- A script that fails is not rolled back. The commands that could fail after a push (because of a missing right or
-- a wrong type) are first tried without effect.
if ARGV[arg] then
  call("LTRIM", prefix .. ARGV[arg], 0, -1)
  call("ZREM", KEYS[2], "\0nothing")
  call("DEL", index)
  call("LREM", prefix .. "\0nothing", 1, "")
  local set = pcall("LSET", prefix .. "\0nothing", 0, "")
  if not set.err:find("no such key", 1, true) then
    return set
  end
end

-- Replaces an item that was moved from behind an item that stays, until it is removed below.
local MOVED = "\0rescue_scheduler: moved"

-- Items that the next command pushes, all to the same target. For each: its number among all items of the call,
-- its index in its bucket, and its payload.
local target, n = nil, 0
local places, items, indexes, payloads = {}, {}, {}, {}
-- The buckets of these items. For each: its number, and the number of its last one of these items.
local from, ends, parts = {}, {}, 0
-- For each bucket: its length, how many items at its head were pushed, and the indexes of other pushed items.
local members, lengths, taken, behind = {}, {}, {}, {}
local left = {}

-- Adds the key to an error about a missing right, because Redis does not name it.
local function reason(err, key)
  if err:find("NOPERM", 1, true) or err:find("user executing the script", 1, true) then
    return "NOPERM: the Redis user may not write `" .. key .. "`"
  end
  return err
end

-- Returns how many of the n items the target accepts, and why it does not accept the others.
local function room()
  if target ~= QUARANTINE then
    return n
  end
  local held = pcall("LLEN", targets[target])
  if type(held) == "table" then
    return 0, reason(held.err, targets[target])
  end
  return math.max(0, math.min(n, number[ARGV[7]] - held)), "the quarantine is full"
end

local function push()
  if n == 0 then
    return
  end
  local accepted, refused = room()
  local pushed = accepted > 0 and pcall("RPUSH", targets[target], unpack(payloads, 1, accepted))
  if type(pushed) == "table" then
    accepted, refused = 0, reason(pushed.err, targets[target])
  end
  local first = 1
  for part = 1, parts do
    local bucket, last = from[part], ends[part]
    local name = "delayed:" .. members[bucket]
    for i = first, math.min(last, accepted) do
      -- The index only serves removals by apps, so an index of the wrong type must not stop the move.
      pcall("SREM", index .. items[i], name)
      if indexes[i] == taken[bucket] then
        taken[bucket] = indexes[i] + 1
      else
        behind[bucket] = behind[bucket] or {}
        table.insert(behind[bucket], indexes[i])
      end
    end
    for i = math.max(first, accepted + 1), last do
      left[#left + 1], left[#left + 2] = places[i], refused
    end
    first = last + 1
  end
  n, parts = 0, 0
end

local seen, failed = 0, nil
while ARGV[arg] do
  local bucket, member = #members + 1, ARGV[arg]
  local total, cut, to = read_header(ARGV[arg + 1])
  if total > 0 and is_early(member) then
    -- Buckets are in the order of their scores, so the following ones are too early as well.
    left[#left + 1], left[#left + 2] = seen + 1, 2
    break
  end
  local skipped = #members == 0 and passed or 0
  local first = math.max(0, skipped - 1)
  -- Reads one item more than needed, to find out whether the bucket has more.
  local held, head = pcall("LRANGE", prefix .. member, text[first], text[skipped + total]), 1
  if held.err then
    failed = held
    break
  end
  members[bucket], lengths[bucket], taken[bucket] = member, #held, 0
  if skipped > 0 then
    held = held[1] == ARGV[9] and held or {}
    lengths[bucket], head = -1, 2
  end
  arg = arg + 2
  local size, several, last_of_bucket = total, to == 0, seen + total
  while seen < last_of_bucket do
    if several then
      size, cut, to = read_header(ARGV[arg])
      arg = arg + 1
    end
    if to ~= STAYS and (to ~= target or n + size > LONGEST) then
      push()
      target = to
    end
    local until_cut, step = -1 - cut, (cut > 0 or to == STAYS) and 1 or 2
    local before = n
    for place = seen + 1, seen + size do
      local item = ARGV[arg]
      if held[head] ~= item then
        left[#left + 1], left[#left + 2] = place, 0
      elseif to == STAYS then
        left[#left + 1], left[#left + 2] = place, 3
        head = head + 1
      else
        n = n + 1
        places[n], items[n], indexes[n] = place, item, first + head - 1
        payloads[n] = cut > 0 and sub(item, 1, until_cut) .. "}" or ARGV[arg + 1]
        head = head + 1
      end
      arg = arg + step
    end
    seen = seen + size
    if n > before then
      parts = parts + 1
      from[parts], ends[parts] = bucket, n
    end
  end
end
push()

-- Buckets that are now empty. DEL and ZREM of many at once are faster than removing them one by one.
local empty, gone = {}, {}
for bucket, member in ipairs(members) do
  local key, others = prefix .. member, behind[bucket] or {}
  for _, item in ipairs(others) do
    call("LSET", key, text[item], MOVED)
  end
  if taken[bucket] == lengths[bucket] then
    empty[#empty + 1], gone[#gone + 1] = key, member
  elseif taken[bucket] > 0 then
    call("LTRIM", key, text[taken[bucket]], -1)
  end
  if #others > 0 then
    call("LREM", key, text[#others], MOVED)
  end
end
for i = 1, #gone, LONGEST do
  local last = math.min(i + LONGEST - 1, #gone)
  call("DEL", unpack(empty, i, last))
  call("ZREM", KEYS[2], unpack(gone, i, last))
end
return failed or left
