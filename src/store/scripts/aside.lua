-- Sets an item of a bucket aside if it is too large to read, and records it in quarantine.
--
-- KEYS[1]  lock        string  hostname:pid of the leader
-- KEYS[2]  schedule    zset    timestamps that have a bucket
-- KEYS[3]  bucket      list    delayed items of one timestamp, in order of arrival
--
-- The script also writes the quarantine, the list of items that were set aside, and the set `timestamps:ITEM` (the
-- reverse index: buckets that hold this item). They are not among KEYS, because Redis refuses a whole script if
-- its user may not use one of KEYS, and does not say which. In a cluster this is allowed, because the hash tag of
-- the namespace puts all keys into one slot.
--
-- ARGV[1]  our hostname:pid; nothing is done unless the lock holds it
-- ARGV[2]  prefix of the item in the key of its reverse index
-- ARGV[3]  the bucket's member in the schedule
-- ARGV[4]  size in bytes; larger items are too large
-- ARGV[5]  maximum number of records in the quarantine
-- ARGV[6]  the record, JSON, up to the value of the item's size
-- ARGV[7]  the key of the quarantine
-- ARGV[8]  the key of the list of items of this bucket that were set aside
-- ARGV[9]  number of items before the item in the bucket
--
-- Returns  nil     we do not hold the lease: nothing was done
--          1       set aside
--          0       the item there is not too large, or there is none: nothing was done
--          string  refused: Redis' error (it begins with `NOPERM` if a right is missing), or the quarantine is
--                  full; nothing was done
--
-- Atomic. The item does not leave Redis.

local call, pcall = redis.call, redis.pcall

if call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

-- Returns the error in a reply, if it has one, and names the key if a right is missing, because Redis does not.
local function error_of(reply, key)
  local err = type(reply) == "table" and reply.err
  if err and (err:find("NOPERM", 1, true) or err:find("user executing the script", 1, true)) then
    return "NOPERM: the Redis user may not write `" .. key .. "`"
  end
  return err
end

local bucket, quarantine, aside, place = KEYS[3], ARGV[7], ARGV[8], ARGV[9]
local read = pcall("LRANGE", bucket, place, place)
local item = read[1]
if read.err then
  return read.err
elseif not item or #item <= tonumber(ARGV[4]) then
  return 0
end

local held = pcall("LLEN", quarantine)
if error_of(held, quarantine) then
  return error_of(held, quarantine)
elseif held >= tonumber(ARGV[5]) then
  return "the quarantine is full"
end

-- A script that fails is not rolled back. The commands that could fail after a push are first tried without
-- effect.
call("ZREM", KEYS[2], "\0nothing")
call("LREM", bucket .. "\0nothing", 1, "")
local set = pcall("LSET", bucket .. "\0nothing", 0, "")
if not set.err:find("no such key", 1, true) then
  return set
end

local kept = error_of(pcall("RPUSH", aside, item), aside)
if kept then
  return kept
end
local recorded = error_of(pcall("RPUSH", quarantine, ARGV[6] .. #item .. "}"), quarantine)
if recorded then
  call("LTRIM", aside, 0, -2)
  return recorded
end
local MOVED = "\0rescue_scheduler: moved"
call("LSET", bucket, place, MOVED)
call("LREM", bucket, 1, MOVED)
-- The index only serves removals by apps, so an index of the wrong type must not stop this.
pcall("SREM", ARGV[2] .. item, "delayed:" .. ARGV[3])
if call("LLEN", bucket) == 0 then
  call("ZREM", KEYS[2], ARGV[3])
end
return 1
