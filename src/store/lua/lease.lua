-- Takes the leader's lease if it is free, or renews it if it is ours.
--
-- KEYS[1]  lock   string  hostname:pid of the leader (resque-scheduler's own key)
-- KEYS[2]  token  string  token of the leader's process
--
-- ARGV[1]  our hostname:pid
-- ARGV[2]  our token
-- ARGV[3]  lease, milliseconds
--
-- Returns  1              it was ours and is renewed, for the whole length from now
--          0              it is ours now and was not: what we knew may be out of date
--          {holder, ttl}  another holds it; ttl in milliseconds, -1: it has none
--
-- Two processes may have the same hostname:pid; the one whose token stands is the leader.

local holder, token = redis.call("GET", KEYS[1]), redis.call("GET", KEYS[2])
if holder and (holder ~= ARGV[1] or token and token ~= ARGV[2]) then
  return {holder, redis.call("PTTL", KEYS[1])}
end

redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[3])
redis.call("SET", KEYS[2], ARGV[2], "PX", ARGV[3])
return holder and token and 1 or 0
