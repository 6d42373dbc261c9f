-- Moves due delayed items from their buckets to their queues, and cleans up after them.
--
-- KEYS[1]     lock      string  hostname:pid of the leader
-- KEYS[2]     schedule  zset    timestamps that have a bucket
-- KEYS[3]     queues    set     names of all queues
-- KEYS[4 ..]  list      the targets: queues, and perhaps the quarantine
--
-- Beside them it writes, for each bucket, the list `delayed:MEMBER`; and for each item the set
-- `timestamps:ITEM`, the reverse index: buckets that hold this very item. To give all of these keys,
-- too, would double what is sent. In a cluster that may be, for all keys of a namespace with a hash tag
-- are in one slot.
--
-- ARGV[1]  our hostname:pid; we move only while it holds the lock
-- ARGV[2]  how far a bucket's timestamp may be ahead of this server's clock, milliseconds (empty: any
--          time)
-- ARGV[3]  what stands before the item in the key of its reverse index
-- ARGV[4]  what stands before the member in the key of a bucket
-- ARGV[5]  how many of the targets are queues
-- ARGV[6]  how many bytes stand before the name in the key of a queue
-- ARGV[7]  how many records the quarantine may have
-- then for each bucket:
--   ARGV  its member in the schedule
--   ARGV  the header of its items that were read, from its head
--   then for each run of items that have one target and one cut:
--     ARGV  its header, unless that of the bucket tells the target: then it is the only run
--     ARGV  the items, byte for byte; each with its payload where there is no cut
--
-- A header is a number: (items * 65536 + cut) * 65536 + target.
--   items   how many: at most 1000, but for a bucket without a target
--   cut     how many bytes to cut off at the end of an item, so that `}` makes it the payload; or 0
--   target  its number among KEYS; or 0
--
-- Returns  nil   the lease is lost: nothing was done
--          flat  for each item that was not moved, its number (from 1), and
--                0       someone removed it, or it stands behind a rejected one
--                2       too early by this server's clock, as are all items behind it
--                string  rejected: Redis' error (wrong type), or the quarantine is full; it heads its
--                        bucket now
--          error a bucket is no list any more: what is before it was done
--
-- Atomic. Apps only append to a bucket or remove from it, so what was read and is still in place
-- is a run of items at its head, in the same order. What was removed in between is not pushed;
-- what was added is not dropped. Nothing is decoded here: cjson would change the arguments.

local call, pcall, sub = redis.call, redis.pcall, string.sub

-- A command gets no more arguments: Lua can't unpack any number.
local LONGEST = 1000

-- Numbers by their texts, and texts by their numbers: for small buckets, to read and to write them takes
-- longer than the commands.
local number = setmetatable({}, { __index = function(known, text)
  known[text] = tonumber(text)
  return known[text]
end })
local text = setmetatable({}, { __index = function(known, number)
  known[number] = tostring(number)
  return known[number]
end })

-- Items, cut and target.
local function read_header(header)
  local target = number[header] % 65536
  local rest = (number[header] - target) / 65536
  local cut = rest % 65536
  return (rest - cut) / 65536, cut, target
end

if call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

-- The latest timestamp that is not too early: the host's clock may be wrong.
local latest = math.huge
if ARGV[2] ~= "" then
  local time = call("TIME")
  latest = time[1] + time[2] / 1000000 + ARGV[2] / 1000
end

-- Of a member that is not its score, nobody knows what it means: it is due when the host says so.
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

local index, prefix = ARGV[3], ARGV[4]
local names = {}
for i = 1, number[ARGV[5]] do
  names[i] = sub(KEYS[3 + i], 1 + number[ARGV[6]])
end
for i = 1, #names, LONGEST do
  call("SADD", KEYS[3], unpack(names, i, math.min(i + LONGEST - 1, #names)))
end
local arg = 8

-- A script that fails is not rolled back. What could fail after a push (a command that we are not
-- allowed, a key of the wrong type) is tried before the first one, without effect.
if ARGV[arg] then
  call("LTRIM", prefix .. ARGV[arg], 0, -1)
  call("ZREM", KEYS[2], "\0nothing")
  call("DEL", index)
end

-- Items that are pushed next with one command, for all of them go to one target: of each its place among
-- all items, and its payload.
local target, n = nil, 0
local places, items, payloads = {}, {}, {}
-- The buckets that they are from: of each its number, and its last one of these items.
local from, ends, parts = {}, {}, 0
-- Of each bucket its length, how many items at its head are pushed, and whether one was rejected.
local members, lengths, taken, rejected = {}, {}, {}, {}
local left = {}

-- How many of them the target takes, and why it does not take the others.
local function room()
  if target ~= 4 + #names then
    return n
  end
  local held = pcall("LLEN", KEYS[target])
  if type(held) == "table" then
    return 0, held.err
  end
  return math.max(0, math.min(n, number[ARGV[7]] - held)), "the quarantine is full"
end

local function push()
  if n == 0 then
    return
  end
  local accepted, refused = room()
  local pushed = accepted > 0 and pcall("RPUSH", KEYS[target], unpack(payloads, 1, accepted))
  if type(pushed) == "table" then
    accepted, refused = 0, pushed.err
  end
  local first = 1
  for part = 1, parts do
    local bucket, last = from[part], ends[part]
    local name = "delayed:" .. members[bucket]
    for i = first, math.min(last, accepted) do
      -- Only for removals by apps: an index of the wrong type must not stop the move.
      pcall("SREM", index .. items[i], name)
      taken[bucket] = taken[bucket] + 1
    end
    for i = math.max(first, accepted + 1), last do
      left[#left + 1], left[#left + 2] = places[i], rejected[bucket] and 0 or refused
      rejected[bucket] = true
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
    -- Buckets are in the order of their scores.
    left[#left + 1], left[#left + 2] = seen + 1, 2
    break
  end
  -- One more than is asked for tells whether it is all.
  local held, head = pcall("LRANGE", prefix .. member, "0", text[total]), 1
  if held.err then
    failed = held
    break
  end
  members[bucket], lengths[bucket], taken[bucket] = member, #held, 0
  arg = arg + 2
  local size, several, last_of_bucket = total, to == 0, seen + total
  while seen < last_of_bucket do
    if several then
      size, cut, to = read_header(ARGV[arg])
      arg = arg + 1
    end
    if to ~= target or n + size > LONGEST then
      push()
      target = to
    end
    local until_cut, step = -1 - cut, cut > 0 and 1 or 2
    local before, stopped = n, rejected[bucket]
    for place = seen + 1, seen + size do
      local item = ARGV[arg]
      if not stopped and held[head] == item then
        n, head = n + 1, head + 1
        places[n], items[n] = place, item
        payloads[n] = cut > 0 and sub(item, 1, until_cut) .. "}" or ARGV[arg + 1]
      else
        left[#left + 1], left[#left + 2] = place, 0
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

-- Buckets that have nothing more: to remove them one by one would take a tenth of the time.
local empty, gone = {}, {}
for bucket, member in ipairs(members) do
  if taken[bucket] == lengths[bucket] then
    empty[#empty + 1], gone[#gone + 1] = prefix .. member, member
  elseif taken[bucket] > 0 then
    call("LTRIM", prefix .. member, taken[bucket], -1)
  end
end
for i = 1, #gone, LONGEST do
  local last = math.min(i + LONGEST - 1, #gone)
  call("DEL", unpack(empty, i, last))
  call("ZREM", KEYS[2], unpack(gone, i, last))
end
return failed or left
