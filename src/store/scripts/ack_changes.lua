-- Takes names out of the set of changed dynamic entries, once the changes are in force.
--
-- KEYS[1]  lock                  string  hostname:pid of the leader
-- KEYS[2]  schedules_changed     set     names of dynamic entries that were set or removed
-- KEYS[3]  persistent_schedules  hash    name of a dynamic entry -> its JSON
--
-- ARGV[1]       our hostname:pid; we settle only while it holds the lock
-- ARGV[2i, +1]  of change i: the entry's name, and its JSON that is in force (empty: it is removed)
--
-- Returns  1  settled
--          0  the lease is lost: nothing was done
--
-- One that was changed again since we read it stays in the set.

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return 0
end

for i = 2, #ARGV, 2 do
  if (redis.call("HGET", KEYS[3], ARGV[i]) or "") == ARGV[i + 1] then
    redis.call("SREM", KEYS[2], ARGV[i])
  end
end
return 1
