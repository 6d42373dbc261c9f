-- Changes the published entries, which are the entries in force.
--
-- KEYS[1]  lock     string  hostname:pid of the leader
-- KEYS[2]  entries  hash    name of an entry in force -> its JSON
--
-- ARGV[1]  our hostname:pid; nothing is done unless the lock holds it
-- ARGV[2]  number of entries to set
-- ARGV[3 ..]  name and JSON of each of them; then the names of entries that are no longer in force
--
-- Returns  1  published
--          0  we do not hold the lease: nothing was done

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
