-- Acknowledges changes of dynamic entries that the leader has loaded: removes their names from the set.
--
-- KEYS[1]  lock                  string  hostname:pid of the leader
-- KEYS[2]  schedules_changed     set     names of dynamic entries that were set or removed
-- KEYS[3]  persistent_schedules  hash    name of a dynamic entry -> its JSON
--
-- ARGV[1]       our hostname:pid; nothing is done unless the lock holds it
-- ARGV[2i, +1]  of change i: the entry's name, and its JSON in force (empty: the entry is removed)
--
-- Returns  1  acknowledged
--          0  we do not hold the lease: nothing was done
--
-- An entry that was changed again since the leader read it stays in the set.

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return 0
end

for i = 2, #ARGV, 2 do
  if (redis.call("HGET", KEYS[3], ARGV[i]) or "") == ARGV[i + 1] then
    redis.call("SREM", KEYS[2], ARGV[i])
  end
end
return 1
