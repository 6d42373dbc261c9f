-- Moves due delayed items from their buckets to their queues, and cleans up after them.
--
-- KEYS[1]  lock      string  hostname:pid of the leader
-- KEYS[2]  schedule  zset    timestamps that have a bucket
-- KEYS[3]  queues    set     names of all queues
-- then for each bucket:
--   KEYS  bucket     list    delayed items of one timestamp, in order of arrival
--   then for each of its items:
--     KEYS  timestamps  set   the reverse index: buckets that hold this very item
--     KEYS  target      list  a queue, or the quarantine
--
-- ARGV[1]  our hostname:pid; we move only while it holds the lock
-- then for each bucket:
--   ARGV  its member in the schedule
--   ARGV  number of items, as read from its head: n
--   then for each of its items:
--     ARGV  the item, byte for byte
--     ARGV  what to push to the target
--     ARGV  name of the queue; empty: the target is the quarantine
--
-- Returns  nil                     the lease is lost: nothing was done
--          {moved, refused}        how many items were moved; then, for each that could not be
--                                  pushed (wrong type), its place in the call (from 1) and
--                                  Redis' error, in turn: these are still in their buckets
--
-- Atomic. Apps only append to a bucket or remove from it, so what was read and is still in place
-- is a run of items at its head, in the same order. What was removed in between is not pushed;
-- what was added is not dropped. Nothing is decoded here: cjson would change the arguments.

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

local key, arg = 4, 2
local place, moved, refused = 0, 0, {}
local known = {}

while key <= #KEYS do
  local bucket, member, count = KEYS[key], ARGV[arg], tonumber(ARGV[arg + 1])
  key, arg = key + 1, arg + 2

  local held = redis.call("LRANGE", bucket, 0, count - 1)
  local head, stuck = 0, false
  local taken = {}
  for _ = 1, count do
    local item, queue = ARGV[arg], ARGV[arg + 2]
    place = place + 1
    if held[head + 1] == item then
      head = head + 1
      if queue ~= "" and not known[queue] then
        redis.call("SADD", KEYS[3], queue)
        known[queue] = true
      end
      local pushed = redis.pcall("RPUSH", KEYS[key + 1], ARGV[arg + 1])
      if type(pushed) == "table" then
        stuck = true
        refused[#refused + 1] = place
        refused[#refused + 1] = pushed.err
      else
        redis.call("SREM", KEYS[key], "delayed:" .. member)
        taken[#taken + 1] = item
      end
    end
    key, arg = key + 2, arg + 3
  end

  if stuck then
    for _, item in ipairs(taken) do
      redis.call("LREM", bucket, 1, item)
    end
  else
    redis.call("LTRIM", bucket, head, -1)
  end
  moved = moved + #taken
  if redis.call("EXISTS", bucket) == 0 then
    redis.call("ZREM", KEYS[2], member)
  end
end
return {moved, refused}
