-- Releases the lease if we hold it, and wakes a follower.
--
-- KEYS[1]  lock      string  hostname:pid of the leader
-- KEYS[2]  token     string  token of the leader's process
-- KEYS[3]  handover  list    has an element for a second, for the follower that takes over
--
-- The script also removes what heartbeat.lua writes, even if we do not hold the lease: our process is about to
-- exit or to publish a new status.
--
-- ARGV[1]  our hostname:pid
-- ARGV[2]  our token
-- ARGV[3]  the key `schedulers:HOLDER`, our status
-- ARGV[4]  the key `schedulers`
--
-- Returns  1  released
--          0  we did not hold it any more

redis.pcall("DEL", ARGV[3])
redis.pcall("HDEL", ARGV[4], ARGV[1])
if redis.call("GET", KEYS[1]) ~= ARGV[1] or redis.call("GET", KEYS[2]) ~= ARGV[2] then
  return 0
end

redis.call("DEL", KEYS[1], KEYS[2], KEYS[3])
redis.call("RPUSH", KEYS[3], ARGV[1])
redis.call("PEXPIRE", KEYS[3], 1000)
return 1
