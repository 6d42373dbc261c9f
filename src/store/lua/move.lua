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
-- ARGV[2]  number of the queues' names that follow: q
-- ARGV[3 .. 2+q]  names of the queues
-- then for each bucket:
--   ARGV  its member in the schedule
--   ARGV  number of items, as read from its head: n
--   then for each of its items:
--     ARGV  the item, byte for byte
--     ARGV  what to push to the target
--
-- Returns  nil            the lease is lost: nothing was done
--          for each item  1       moved
--                         0       not moved: someone removed it, or it stands behind a rejected one
--                         string  rejected: Redis' error (wrong type); it heads its bucket now
--
-- Atomic. Apps only append to a bucket or remove from it, so what was read and is still in place
-- is a run of items at its head, in the same order. What was removed in between is not pushed;
-- what was added is not dropped. Nothing is decoded here: cjson would change the arguments.

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

-- A script that fails is not rolled back. What could fail after a push (a command that we are not
-- allowed, a key of the wrong type) is tried before the first one, without effect.
local queues = tonumber(ARGV[2])
for i = 3, 2 + queues do
  redis.call("SADD", KEYS[3], ARGV[i])
end
if #KEYS > 3 then
  redis.call("LTRIM", KEYS[4], 0, -1)
  redis.call("EXISTS", KEYS[4])
  redis.call("ZREM", KEYS[2], "\0nothing")
end

local key, arg = 4, 3 + queues
local outcomes = {}
while key <= #KEYS do
  local bucket, member, count = KEYS[key], ARGV[arg], tonumber(ARGV[arg + 1])
  key, arg = key + 1, arg + 2

  local held = redis.call("LRANGE", bucket, 0, count - 1)
  local taken, rejected = 0, false
  for _ = 1, count do
    local outcome = 0
    if not rejected and held[taken + 1] == ARGV[arg] then
      local pushed = redis.pcall("RPUSH", KEYS[key + 1], ARGV[arg + 1])
      if type(pushed) == "table" then
        outcome, rejected = pushed.err, true
      else
        outcome, taken = 1, taken + 1
        -- Only for removals by apps: an index of the wrong type must not stop the move.
        redis.pcall("SREM", KEYS[key], "delayed:" .. member)
      end
    end
    outcomes[#outcomes + 1] = outcome
    key, arg = key + 2, arg + 2
  end

  redis.call("LTRIM", bucket, taken, -1)
  if redis.call("EXISTS", bucket) == 0 then
    redis.call("ZREM", KEYS[2], member)
  end
end
return outcomes
