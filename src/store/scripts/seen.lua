-- Changes the records of entries when a schedule comes into force.
--
-- KEYS[1]  lock   string  hostname:pid of the leader
-- KEYS[2]  seen   hash    entry name -> when it was first seen, and its timing
-- KEYS[3]  fires  hash    entry name -> number of its fires since then, where that is limited
-- KEYS[4]  away   hash    entry name -> when it left the schedule, and when it returned, if it did
--
-- ARGV[1]  our hostname:pid; nothing is done unless the lock holds it
-- ARGV[2 ..]  the changes, each with its kind first:
--   "first"  entry name, value                    the entry is first seen
--   "seen"   entry name, old value, new value     a new text identifies the same timing
--   "away"   entry name, old value (empty: none), new value   the entry left the schedule, or returned
--
-- Returns  1  recorded
--          0  we do not hold the lease: nothing was done
--
-- "first" changes nothing if the entry is recorded with the same timing, and the others change nothing unless the
-- record has the old value. A request may arrive late, after its sender has repeated it and the entry has fired.
-- It must neither restart the entry nor record that it left the schedule.

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return 0
end

-- 2200-01-01: no scheduler writes this time or a later one.
local END = 7258118400

local function timing(value)
  local at, timing = string.match(value or "", "^(%d+) (.*)$")
  return at and #at <= 10 and tonumber(at) < END and timing
end

local arg = 1
local function next_arg()
  arg = arg + 1
  return ARGV[arg]
end

local replaced = { seen = KEYS[2], away = KEYS[4] }

while arg < #ARGV do
  local kind, name = next_arg(), next_arg()
  if kind == "first" then
    local value = next_arg()
    if timing(redis.call("HGET", KEYS[2], name)) ~= timing(value) then
      redis.call("HSET", KEYS[2], name, value)
      redis.call("HDEL", KEYS[3], name)
      redis.call("HDEL", KEYS[4], name)
    end
  else
    local key, old, new = replaced[kind], next_arg(), next_arg()
    if (redis.call("HGET", key, name) or "") == old then
      redis.call("HSET", key, name, new)
    end
  end
end
return 1
