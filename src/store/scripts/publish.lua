-- Changes which entries are published as those in force.
--
-- KEYS[1]  lock     string  hostname:pid of the leader
-- KEYS[2]  entries  hash    name of an entry in force -> its JSON
--
-- ARGV[1]  our hostname:pid; we write only while it holds the lock
-- ARGV[2]  how many entries are set
-- ARGV[3 ..]  name and JSON of each of them; then the names of entries that are not in force any more
--
-- Returns  1  published
--          0  the lease is lost: nothing was done

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return 0
end

local last = 2 + 2 * tonumber(ARGV[2])
if last > 2 then
  redis.call("HSET", KEYS[2], unpack(ARGV, 3, last))
end
if #ARGV > last then
  redis.call("HDEL", KEYS[2], unpack(ARGV, last + 1))
end
return 1
