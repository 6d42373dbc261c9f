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
-- ARGV[4]  how many of the targets are queues
-- ARGV[5]  how many bytes stand before the name in the key of a queue
-- ARGV[6]  number of the forms that follow
-- then for each form, in which items are moved:
--   ARGV  the target: its number among KEYS
--   ARGV  how many bytes to cut off at the end of an item, so that `}` makes it the payload; or
--         nothing, and a payload follows each item
-- then for each bucket:
--   ARGV  its member in the schedule
--   ARGV  number of its items that were read, from its head
--   then for each run of them that has one form:
--     ARGV  65536 times the number of items in it, at most as many as Lua can unpack; and the number of
--           the form
--     ARGV  the items, byte for byte, each perhaps with its payload
--
-- Returns  nil   the lease is lost: nothing was done
--          flat  for each item that was not moved, its number (from 1), and
--                0       someone removed it, or it stands behind a rejected one
--                string  rejected: Redis' error (wrong type); it heads its bucket now
--          error a bucket is no list any more: what is before it was done
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
local names = {}
for i = 1, number[ARGV[4]] do
  names[i] = sub(KEYS[3 + i], 1 + number[ARGV[5]])
end
for i = 1, #names, 1000 do
  call("SADD", KEYS[3], unpack(names, i, math.min(i + 999, #names)))
end
local forms = {}
for i = 1, number[ARGV[6]] do
  local target, cut = ARGV[5 + 2 * i], ARGV[6 + 2 * i]
  forms[i] = { target = KEYS[number[target]], last = cut ~= "" and -number[cut] - 1 }
end
local arg = 7 + 2 * #forms

-- A script that fails is not rolled back. What could fail after a push (a command that we are not
-- allowed, a key of the wrong type) is tried before the first one, without effect.
if ARGV[arg] then
  call("LTRIM", prefix .. ARGV[arg], 0, -1)
  call("ZREM", KEYS[2], "\0nothing")
  call("DEL", index)
end

-- How many items were looked at, those of them that were not moved; and buckets that have nothing more,
-- with their members: to remove them one by one would take a tenth of the time.
local seen, left, empty, gone = 0, {}, {}, {}
local payloads, places = {}, {}
local failed

while ARGV[arg] do
  local member, count = ARGV[arg], ARGV[arg + 1]
  local bucket, name, total = prefix .. member, "delayed:" .. member, number[count]
  -- One more than is asked for tells whether it is all.
  local held = pcall("LRANGE", bucket, "0", count)
  if held.err then
    failed = held
    break
  end
  local taken, rejected, ends = 0, false, seen + total
  arg = arg + 2
  while seen < ends do
    local header, n = number[ARGV[arg]], 0
    local form, size = forms[header % 65536], math.floor(header / 65536)
    local last = form.last
    arg = arg + 1
    for place = seen + 1, seen + size do
      local item = ARGV[arg]
      if not rejected and held[taken + n + 1] == item then
        n = n + 1
        payloads[n] = last and sub(item, 1, last) .. "}" or ARGV[arg + 1]
        places[n] = place
      else
        left[#left + 1], left[#left + 2] = place, 0
      end
      arg = arg + (last and 1 or 2)
    end
    seen = seen + size

    local pushed = n == 0 or pcall("RPUSH", form.target, unpack(payloads, 1, n))
    if type(pushed) == "table" then
      rejected = true
      for i = 1, n do
        left[#left + 1], left[#left + 2] = places[i], i == 1 and pushed.err or 0
      end
    else
      for i = 1, n do
        -- Only for removals by apps: an index of the wrong type must not stop the move.
        pcall("SREM", index .. held[taken + i], name)
      end
      taken = taken + n
    end
  end
  if taken == #held then
    empty[#empty + 1], gone[#gone + 1] = bucket, member
  elseif taken > 0 then
    call("LTRIM", bucket, taken, -1)
  end
end
for i = 1, #gone, 1000 do
  local last = math.min(i + 999, #gone)
  call("DEL", unpack(empty, i, last))
  call("ZREM", KEYS[2], unpack(gone, i, last))
end
return failed or left
