-- Gives the lease back, if it is ours, and wakes a follower.
--
-- KEYS[1]  lock      string  hostname:pid of the leader
-- KEYS[2]  token     string  token of the leader's process
-- KEYS[3]  handover  list    an element while a follower may be waiting
--
-- Beside them it removes what heartbeat.lua writes.
--
-- ARGV[1]  our hostname:pid
-- ARGV[2]  our token
-- ARGV[3]  the key `schedulers:HOLDER`, what we say of ourselves
-- ARGV[4]  the key `schedulers`
--
-- What we say of ourselves is removed in any case: we are about to end, or to say something else.
--
-- Returns  1  released
--          0  it was not ours any more

redis.pcall("DEL", ARGV[3])
redis.pcall("HDEL", ARGV[4], ARGV[1])
if redis.call("GET", KEYS[1]) ~= ARGV[1] or redis.call("GET", KEYS[2]) ~= ARGV[2] then
  return 0
end

redis.call("DEL", KEYS[1], KEYS[2], KEYS[3])
redis.call("RPUSH", KEYS[3], ARGV[1])
redis.call("PEXPIRE", KEYS[3], 1000)
return 1
