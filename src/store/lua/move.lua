-- Moves due delayed items from their buckets to their queues, and cleans up after them.
--
-- KEYS[1]  lock      string  hostname:pid of the leader
-- KEYS[2]  schedule  zset    timestamps that have a bucket
-- KEYS[3]  queues    set     names of all queues
-- KEYS[4 .. 3+t]     list    the targets: queues, and perhaps the quarantine
-- KEYS[4+t ..]       list    the buckets: delayed items of one timestamp, in order of arrival
--
-- Beside them it writes the set `timestamps:ITEM` of each item, the reverse index: buckets that hold
-- this very item. To give all of these keys, too, would double what is sent. In a cluster that may be,
-- for all keys of a namespace with a hash tag are in one slot.
--
-- ARGV[1]  our hostname:pid; we move only while it holds the lock
-- ARGV[2]  what stands before the item in the key of its reverse index
-- ARGV[3]  number of targets: t
-- ARGV[4]  number of the queues' names that follow: q
-- ARGV[5 .. 4+q]  names of the queues
-- then for each bucket:
--   ARGV  its member in the schedule
--   ARGV  number of items, as read from its head
--   then for each run of them that has one target and one form:
--     ARGV  number of the target: 1 .. t
--     ARGV  number of items in the run: at most as many as Lua can unpack
--     ARGV  how many bytes to cut off at the end of an item, so that `}` makes it the payload; or
--           nothing, and a payload follows each item
--     ARGV  the items, byte for byte, each perhaps with its payload
--
-- Returns  nil            the lease is lost: nothing was done
--          for each item  1       moved
--                         0       not moved: someone removed it, or it stands behind a rejected one
--                         string  rejected: Redis' error (wrong type); it heads its bucket now
--
-- Atomic. Apps only append to a bucket or remove from it, so what was read and is still in place
-- is a run of items at its head, in the same order. What was removed in between is not pushed;
-- what was added is not dropped. Nothing is decoded here: cjson would change the arguments.

local call, pcall, sub = redis.call, redis.pcall, string.sub

-- Numbers by their texts: for small buckets, reading them takes longer than the commands.
local number = setmetatable({}, { __index = function(known, text)
  known[text] = tonumber(text)
  return known[text]
end })

if call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

-- A script that fails is not rolled back. What could fail after a push (a command that we are not
-- allowed, a key of the wrong type) is tried before the first one, without effect.
local prefix, targets, queues = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
for i = 5, 4 + queues do
  call("SADD", KEYS[3], ARGV[i])
end
local first = 4 + targets
if first <= #KEYS then
  call("LTRIM", KEYS[first], 0, -1)
  call("ZREM", KEYS[2], "\0nothing")
  call("DEL", prefix)
end

local outcomes, arg = {}, 5 + queues

-- Moves the run that begins at `arg`, from what a bucket `held` behind those `taken`, unless one before
-- was rejected. Returns how many it has taken, and whether one is rejected now.
local function move_run(held, taken, name, rejected)
  local target, size, cut = unpack(ARGV, arg, arg + 2)
  local last = cut ~= "" and -number[cut] - 1
  local payloads, places, n = {}, {}, 0
  arg = arg + 3
  for at = #outcomes + 1, #outcomes + number[size] do
    local item = ARGV[arg]
    outcomes[at] = 0
    if not rejected and held[taken + n + 1] == item then
      n = n + 1
      payloads[n] = last and sub(item, 1, last) .. "}" or ARGV[arg + 1]
      places[n] = at
    end
    arg = arg + (last and 1 or 2)
  end
  if n == 0 then
    return 0, rejected
  end
  local pushed = pcall("RPUSH", KEYS[3 + target], unpack(payloads))
  if type(pushed) == "table" then
    outcomes[places[1]] = pushed.err
    return 0, true
  end
  for i = 1, n do
    outcomes[places[i]] = 1
    -- Only for removals by apps: an index of the wrong type must not stop the move.
    pcall("SREM", prefix .. held[taken + i], name)
  end
  return n, false
end

local gone = {}
for key = first, #KEYS do
  local bucket, member, count = KEYS[key], ARGV[arg], ARGV[arg + 1]
  local name, ends = "delayed:" .. member, #outcomes + number[count]
  arg = arg + 2
  -- One more than is asked for tells whether it is all.
  local held = call("LRANGE", bucket, "0", count)
  local taken, moved, rejected = 0, 0, false
  while #outcomes < ends do
    moved, rejected = move_run(held, taken, name, rejected)
    taken = taken + moved
  end
  if taken == #held then
    call("DEL", bucket)
    gone[#gone + 1] = member
  else
    call("LTRIM", bucket, taken, -1)
  end
end
for i = 1, #gone, 1000 do
  call("ZREM", KEYS[2], unpack(gone, i, math.min(i + 999, #gone)))
end
return outcomes
