-- Returns the time of this server's clock, and publishes our status.
--
-- KEYS[1]  lock  string  hostname:pid of the leader; not read: in a cluster, the clock of its node is asked
--
-- The script also writes the string `schedulers:HOLDER` and the hash `schedulers` (heartbeat.lua).
--
-- ARGV[1]  our hostname:pid
-- ARGV[2 .. 5]  our heartbeat (heartbeat.lua)
--
-- Returns  {seconds, microseconds} of this server's clock

local time = redis.call("TIME")
heartbeat(ARGV[1], time[1], unpack(ARGV, 2, 5))
return time
