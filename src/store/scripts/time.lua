-- Tells the time, and changes nothing.
--
-- KEYS[1]  lock  string  hostname:pid of the leader; not read: in a cluster, its server is asked
--
-- Returns  {seconds, microseconds} of this server's clock

return redis.call("TIME")
