-- Enqueues the jobs of entries that fire, each fire time at most once, ever.
--
-- KEYS[1]  lock              string  hostname:pid of the leader
-- KEYS[2]  fired             hash    the fence: entry name -> last fire time, Unix seconds
-- KEYS[3]  last_enqueued_at  hash    entry name -> time as Ruby prints it, for resque-web
-- KEYS[4]  queues            set     names of all queues
-- KEYS[4+i] queue            list    where fire i goes
--
-- ARGV[1]  our hostname:pid; we fire only while it holds the lock
-- ARGV[2]  now, as Ruby prints it
-- ARGV[4i-1 .. 4i+2]  of fire i: entry name, fire time, queue name, payload
--
-- Returns  nil          the lease is lost: nothing was done
--          for each fire  1       fired
--                         0       already fired: the fence holds this fire time or a later one
--                         string  rejected: Redis' error (wrong type); it can be fired again
--
-- Atomic: a fire is recorded if and only if its payload was pushed.

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

local outcomes = {}
for i = 1, #KEYS - 4 do
  local name, fire_time, queue, payload = unpack(ARGV, 4 * i - 1, 4 * i + 2)
  local last = redis.call("HGET", KEYS[2], name)
  if last and (tonumber(last) or 0) >= tonumber(fire_time) then
    outcomes[i] = 0
  else
    -- Recorded first, for a script that fails after a push is not rolled back.
    redis.call("SADD", KEYS[4], queue)
    redis.call("HSET", KEYS[2], name, fire_time)
    local pushed = redis.pcall("RPUSH", KEYS[4 + i], payload)
    if type(pushed) == "table" then
      if last then
        redis.call("HSET", KEYS[2], name, last)
      else
        redis.call("HDEL", KEYS[2], name)
      end
      outcomes[i] = pushed.err
    else
      -- For people to look at only: a key of the wrong type must not stop the fire.
      redis.pcall("HSET", KEYS[3], name, ARGV[2])
      outcomes[i] = 1
    end
  end
end
return outcomes
