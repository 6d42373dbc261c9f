-- Tells the time, and says that we are there.
--
-- KEYS[1]  lock  string  hostname:pid of the leader; not read: in a cluster, its server is asked
-- KEYS[2]  schedulers:HOLDER  string  what we say of ourselves (heartbeat.lua)
-- KEYS[3]  schedulers  hash  all who are there (heartbeat.lua)
--
-- ARGV[1]  our hostname:pid
-- ARGV[2]  what we say of ourselves, JSON; empty: nothing
-- ARGV[3]  for how long that stays, milliseconds
--
-- Returns  {seconds, microseconds} of this server's clock

local time = redis.call("TIME")
heartbeat(KEYS[2], KEYS[3], ARGV[1], ARGV[2], ARGV[3], time[1])
return time
