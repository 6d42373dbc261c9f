-- Enqueues the jobs of entries that fire, each fire time at most once, ever.
--
-- KEYS[1]  lock              string  hostname:pid of the leader
-- KEYS[2]  fired             hash    the fence: entry name -> last fire time, Unix seconds
-- KEYS[3]  fires             hash    entry name -> number of its fires, where that is limited
-- KEYS[4]  last_enqueued_at  hash    entry name -> time as Ruby prints it, for resque-web
-- KEYS[5]  stamps            hash    entry name -> the time that we stamped there, Unix seconds
-- KEYS[6]  queues            set     names of all queues
-- KEYS[6+i] queue            list    where fire i goes
--
-- ARGV[1]  our hostname:pid; we fire only while it holds the lock
-- ARGV[2]  now, as Ruby prints it
-- ARGV[3]  now, Unix seconds
-- ARGV[5i-1 .. 5i+3]  of fire i: entry name, how many fires it may have (empty: any number),
--                     fire time, queue name, payload
--
-- Returns  nil          the lease is lost: nothing was done
--          for each fire  1       fired
--                         0       already fired: the fence holds this fire time or a later one, or
--                                 the entry has had all its fires
--                         string  rejected: Redis' error (wrong type); it can be fired again
--
-- Atomic: a fire is recorded if and only if its payload was pushed.

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

local outcomes = {}
for i = 1, #KEYS - 6 do
  local name, times, fire_time, queue, payload = unpack(ARGV, 5 * i - 1, 5 * i + 3)
  local limited = times ~= ""
  local last = redis.call("HGET", KEYS[2], name)
  local last_time = tonumber(last) or 0
  local fires = limited and tonumber(redis.call("HGET", KEYS[3], name)) or 0
  if last_time >= tonumber(fire_time) or limited and fires >= tonumber(times) then
    outcomes[i] = 0
  else
    -- Recorded first, for a script that fails after a push is not rolled back.
    redis.call("SADD", KEYS[6], queue)
    if limited then
      redis.call("HSET", KEYS[3], name, fires + 1)
    end
    redis.call("HSET", KEYS[2], name, fire_time)
    local pushed = redis.pcall("RPUSH", KEYS[6 + i], payload)
    if type(pushed) == "table" then
      if last then
        redis.call("HSET", KEYS[2], name, last)
      else
        redis.call("HDEL", KEYS[2], name)
      end
      if limited then
        redis.call("HSET", KEYS[3], name, fires)
      end
      outcomes[i] = pushed.err
    else
      -- For people to look at only: a key of the wrong type must not stop the fire.
      redis.pcall("HSET", KEYS[4], name, ARGV[2])
      redis.pcall("HSET", KEYS[5], name, ARGV[3])
      outcomes[i] = 1
    end
  end
end
return outcomes
