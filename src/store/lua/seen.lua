-- Records which entries a leader sees for the first time, rewrites what identifies their timings, and
-- forgets entries that are gone.
--
-- KEYS[1]  lock   string  hostname:pid of the leader
-- KEYS[2]  seen   hash    entry name -> when it was first seen, and its timing
-- KEYS[3]  fires  hash    entry name -> number of its fires since then, where that is limited
--
-- ARGV[1]  our hostname:pid; we write only while it holds the lock
-- ARGV[2 ..]  the changes, each with its kind first:
--   "first"     entry name, value     the entry is first seen
--   "reworded"  entry name, old value, new value   another text for the same timing
--   "gone"      entry name            to be forgotten
--
-- Returns  1  recorded
--          0  the lease is lost: nothing was done
--
-- An entry that is recorded with the same timing stays as it is, and only the value that was read is
-- rewritten: a request that arrives late, when its sender has tried again and has fired since, must not
-- begin the entry again.

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return 0
end

local function timing(value)
  return value and string.match(value, "^%-?%d+ (.*)$")
end

local arg = 2
local function next_arg()
  arg = arg + 1
  return ARGV[arg - 1]
end

local apply = {}

function apply.first(name)
  local value = next_arg()
  if timing(redis.call("HGET", KEYS[2], name)) ~= timing(value) then
    redis.call("HSET", KEYS[2], name, value)
    redis.call("HDEL", KEYS[3], name)
  end
end

function apply.reworded(name)
  local old, new = next_arg(), next_arg()
  if redis.call("HGET", KEYS[2], name) == old then
    redis.call("HSET", KEYS[2], name, new)
  end
end

function apply.gone(name)
  redis.call("HDEL", KEYS[2], name)
  redis.call("HDEL", KEYS[3], name)
end

while arg <= #ARGV do
  apply[next_arg()](next_arg())
end
return 1
