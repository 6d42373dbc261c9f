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
-- ARGV[2]  what stands before the item in the key of its reverse index
-- ARGV[3]  what stands before the member in the key of a bucket
-- ARGV[4]  number of the queues' names that follow
-- ARGV     names of the queues
-- ARGV     number of the forms that follow
-- then for each form, in which items are moved:
--   ARGV  the target: its number among KEYS
--   ARGV  how many bytes to cut off at the end of an item, so that `}` makes it the payload; or
--         nothing, and a payload follows each item
-- then for each run of items that have one bucket and one form, in order:
--   ARGV  the bucket's member in the schedule
--   ARGV  number of items in the run: at most as many as Lua can unpack
--   ARGV  number of the form; any if the run is empty, as for a bucket without items
--   ARGV  the items, byte for byte, each perhaps with its payload
--
-- Returns  nil   the lease is lost: nothing was done
--          flat  for each item that was not moved, its number (from 1), and
--                0       someone removed it, or it stands behind a rejected one
--                string  rejected: Redis' error (wrong type); it heads its bucket now
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

local index, prefix = ARGV[2], ARGV[3]
local arg = 5 + number[ARGV[4]]
for i = 5, arg - 1 do
  call("SADD", KEYS[3], ARGV[i])
end
local forms = {}
for i = 1, number[ARGV[arg]] do
  local target, cut = ARGV[arg + 2 * i - 1], ARGV[arg + 2 * i]
  forms[i] = { target = KEYS[number[target]], last = cut ~= "" and -number[cut] - 1 }
end
arg = arg + 1 + 2 * #forms

-- A script that fails is not rolled back. What could fail after a push (a command that we are not
-- allowed, a key of the wrong type) is tried before the first one, without effect.
if ARGV[arg] then
  call("LTRIM", prefix .. ARGV[arg], 0, -1)
  call("ZREM", KEYS[2], "\0nothing")
  call("DEL", index)
end

-- How many items were looked at, those of them that were not moved, buckets that are gone, and the
-- bucket that has nothing more to move: it is gone, or an item of it was rejected.
local seen, left, gone, done = 0, {}, {}, nil
local payloads, items, places = {}, {}, {}

while ARGV[arg] do
  local member, count, form = ARGV[arg], ARGV[arg + 1], forms[number[ARGV[arg + 2]]] or {}
  local bucket, name, last = prefix .. member, "delayed:" .. member, form.last
  -- One more than is asked for tells whether it is all.
  local held = member == done and {} or call("LRANGE", bucket, "0", count)
  local taken = 0
  arg = arg + 3
  for place = seen + 1, seen + number[count] do
    local item = ARGV[arg]
    if held[taken + 1] == item then
      taken = taken + 1
      payloads[taken] = last and sub(item, 1, last) .. "}" or ARGV[arg + 1]
      items[taken], places[taken] = item, place
    else
      left[#left + 1], left[#left + 2] = place, 0
    end
    arg = arg + (last and 1 or 2)
  end
  seen = seen + number[count]

  local pushed = taken == 0 or pcall("RPUSH", form.target, unpack(payloads, 1, taken))
  if type(pushed) == "table" then
    for i = 1, taken do
      left[#left + 1], left[#left + 2] = places[i], i == 1 and pushed.err or 0
    end
    done = member
  elseif member ~= done then
    for i = 1, taken do
      -- Only for removals by apps: an index of the wrong type must not stop the move.
      pcall("SREM", index .. items[i], name)
    end
    if taken == #held then
      call("DEL", bucket)
      gone[#gone + 1], done = member, member
    elseif taken > 0 then
      call("LTRIM", bucket, taken, -1)
    end
  end
end
for i = 1, #gone, 1000 do
  call("ZREM", KEYS[2], unpack(gone, i, math.min(i + 999, #gone)))
end
return left
