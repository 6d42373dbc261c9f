-- Takes the leader's lease if it is free, or renews it if it is ours.
--
-- KEYS[1]  lock   string  hostname:pid of the leader (resque-scheduler's own key)
-- KEYS[2]  token  string  token of the leader's process
--
-- Beside them it writes the string `schedulers:HOLDER` and the hash `schedulers` (heartbeat.lua).
--
-- ARGV[1]  our hostname:pid
-- ARGV[2]  our token
-- ARGV[3]  lease, milliseconds
-- ARGV[4]  a holder whose lock may be taken from it if it has no end; empty: nobody's
-- ARGV[5 .. 8]  our heartbeat (heartbeat.lua)
--
-- Returns  {outcome, holder, ttl, seconds, microseconds}
--   outcome  1  it was ours and is renewed, for the whole length from now
--            0  it is ours now and was not: what we knew may be out of date
--           -1  holder has it; ttl in milliseconds, -1: it has no end
--   seconds, microseconds  the time of this server's clock
--
-- Two processes may have the same hostname:pid; the one whose token stands is the leader.

local holder, token = unpack(redis.call("MGET", KEYS[1], KEYS[2]))
local time = redis.call("TIME")

local outcome, ttl = 0, -1
if holder and holder == ARGV[1] and token == ARGV[2] then
  -- No SET, which a server that is out of memory refuses: a leader stays leader then.
  redis.call("PEXPIRE", KEYS[1], ARGV[3])
  redis.call("PEXPIRE", KEYS[2], ARGV[3])
  outcome = 1
else
  -- MGET says nothing of what is no string; it must not be overwritten.
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
