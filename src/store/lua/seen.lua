-- Records which entries a leader sees for the first time, and forgets those that are gone.
--
-- KEYS[1]  lock   string  hostname:pid of the leader
-- KEYS[2]  seen   hash    entry name -> when it was first seen, and its timing
-- KEYS[3]  fires  hash    entry name -> number of its fires since then, where that is limited
--
-- ARGV[1]  our hostname:pid; we write only while it holds the lock
-- ARGV[2]  number of names to forget, n
-- ARGV[3 .. 2+n]  the names to forget
-- ARGV[3+n ..]    name and value of each entry to record, in turn
--
-- Returns  1  recorded
--          0  the lease is lost: nothing was done
--
-- An entry that is recorded with the same timing stays as it is: a request that arrives late, when
-- its sender has tried again and has fired since, must not begin the entry anew.

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return 0
end

local function timing(value)
  return value and string.match(value, "^%-?%d+ (.*)$")
end

local first_recorded = 3 + tonumber(ARGV[2])
for i = 3, first_recorded - 1 do
  redis.call("HDEL", KEYS[2], ARGV[i])
  redis.call("HDEL", KEYS[3], ARGV[i])
end
for i = first_recorded, #ARGV, 2 do
  if timing(redis.call("HGET", KEYS[2], ARGV[i])) ~= timing(ARGV[i + 1]) then
    redis.call("HSET", KEYS[2], ARGV[i], ARGV[i + 1])
    redis.call("HDEL", KEYS[3], ARGV[i])
  end
end
return 1
