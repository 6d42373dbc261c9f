-- Sets the item at the head of a bucket aside if it is too large to be read, and records it in quarantine.
--
-- KEYS[1]  lock        string  hostname:pid of the leader
-- KEYS[2]  schedule    zset    timestamps that have a bucket
-- KEYS[3]  quarantine  list    records of items that cannot be enqueued
-- KEYS[4]  aside       list    the items of this bucket that were set aside
-- KEYS[5]  bucket      list    delayed items of one timestamp, in order of arrival
--
-- Beside them it writes the set `timestamps:ITEM`, the reverse index: buckets that hold this very item.
-- Its key is known in here only. In a cluster that may be, for all keys of a namespace with a hash tag are
-- in one slot.
--
-- ARGV[1]  our hostname:pid; we move only while it holds the lock
-- ARGV[2]  what stands before the item in the key of its reverse index
-- ARGV[3]  the bucket's member in the schedule
-- ARGV[4]  a larger item is too large
-- ARGV[5]  how many records the quarantine may have
-- ARGV[6]  the record, JSON, up to the number of the item's bytes
--
-- Returns  nil     the lease is lost: nothing was done
--          1       set aside
--          0       the item at the head is not too large, or there is none: nothing was done
--          string  refused: Redis' error, or the quarantine is full; nothing was done
--
-- Atomic. The item does not leave Redis.

local call, pcall = redis.call, redis.pcall

if call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

-- Redis' error, if it is one.
local function error_of(reply)
  return type(reply) == "table" and reply.err
end

local head = pcall("LRANGE", KEYS[5], 0, 0)
local item = head[1]
if error_of(head) then
  return head.err
elseif not item or #item <= tonumber(ARGV[4]) then
  return 0
end

local held = pcall("LLEN", KEYS[3])
if error_of(held) then
  return held.err
elseif held >= tonumber(ARGV[5]) then
  return "the quarantine is full"
end

-- A script that fails is not rolled back. What could fail after a push is tried before, without effect.
call("LTRIM", KEYS[5], 0, -1)
call("ZREM", KEYS[2], "\0nothing")

local kept = error_of(pcall("RPUSH", KEYS[4], item))
if kept then
  return kept
end
local recorded = error_of(pcall("RPUSH", KEYS[3], ARGV[6] .. #item .. "}"))
if recorded then
  call("LTRIM", KEYS[4], 0, -2)
  return recorded
end
call("LTRIM", KEYS[5], 1, -1)
-- Only for removals by apps: an index of the wrong type must not stop this.
pcall("SREM", ARGV[2] .. item, "delayed:" .. ARGV[3])
if call("LLEN", KEYS[5]) == 0 then
  call("ZREM", KEYS[2], ARGV[3])
end
return 1
