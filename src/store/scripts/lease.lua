-- Takes the leader's lease if it is free, or renews it if we hold it.
--
-- KEYS[1]  lock   string  hostname:pid of the leader (resque-scheduler's own key)
-- KEYS[2]  token  string  token of the leader's process
--
-- The script also writes the string `schedulers:HOLDER` and the hash `schedulers` (heartbeat.lua).
--
-- ARGV[1]  our hostname:pid
-- ARGV[2]  our token
-- ARGV[3]  length of the lease, milliseconds
-- ARGV[4]  a holder from which a lock without a TTL may be taken; empty: none
-- ARGV[5 .. 8]  our heartbeat (heartbeat.lua)
--
-- Returns  {outcome, holder, ttl, seconds, microseconds}
--   outcome  1  we held it and renewed it, for the whole length from now
--            0  we hold it now and did not before: what we know may be out of date
--           -1  `holder` holds it; ttl in milliseconds, -1: it has no TTL
--   seconds, microseconds  the time of this server's clock
--
-- Two processes may have the same hostname:pid. The one whose token is in Redis is the leader.

local holder, token = unpack(redis.call("MGET", KEYS[1], KEYS[2]))
local time = redis.call("TIME")

local outcome, ttl = 0, -1
if holder and holder == ARGV[1] and token == ARGV[2] then
  -- PEXPIRE instead of SET: a server that is out of memory refuses SET, and the leader must stay leader then.
  redis.call("PEXPIRE", KEYS[1], ARGV[3])
  redis.call("PEXPIRE", KEYS[2], ARGV[3])
  outcome = 1
else
  -- MGET returns nil for a key that is not a string. GET fails for it, so that the key is not overwritten.
  redis.call("GET", KEYS[1])
  redis.call("GET", KEYS[2])
  ttl = redis.call("PTTL", KEYS[1])
  if holder and (holder ~= ARGV[1] or token) and not (ttl == -1 and holder == ARGV[4]) then
    outcome = -1
  else
    redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[3])
    redis.call("SET", KEYS[2], ARGV[2], "PX", ARGV[3])
  end
end
heartbeat(ARGV[1], time[1], unpack(ARGV, 5, 8))
return {outcome, holder or "", ttl, time[1], time[2]}
