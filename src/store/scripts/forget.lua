-- Removes all records of entries that left the schedule.
--
-- KEYS[1]  lock              string  hostname:pid of the leader
-- KEYS[2]  away              hash    entry name -> when it left the schedule, and when it returned, if it did
-- KEYS[3]  seen              hash    by entry name, as all that follow
-- KEYS[4]  fired             hash
-- KEYS[5]  fires             hash
-- KEYS[6]  stamps            hash
-- KEYS[7]  last_enqueued_at  hash
--
-- The script also removes the lists `history:NAME` and fields of the hash `paused`.
--
-- ARGV[1]         our hostname:pid; nothing is done unless the lock holds it
-- ARGV[2]         prefix of the name in the key of a history
-- ARGV[3]         the key `paused`
-- ARGV[2i+2, +1]  entry name, and the value of `away` that was read: since when it is not in the schedule
--
-- Returns  nil   we do not hold the lease: nothing was done
--          list  names of the entries whose records were removed
--
-- All records of an entry are removed together. If the value of `away` has changed, because the entry returned or
-- left again, nothing of the entry is removed.

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

local names = {}
for i = 4, #ARGV, 2 do
  if redis.call("HGET", KEYS[2], ARGV[i]) == ARGV[i + 1] then
    names[#names + 1] = ARGV[i]
  end
end
if #names > 0 then
  -- `away` is last, so that everything is tried again if one of the others fails.
  for _, key in ipairs({ KEYS[3], KEYS[4], KEYS[5] }) do
    redis.call("HDEL", key, unpack(names))
  end
  -- Other programs use these keys too. If one has the wrong type, the rest must still be removed.
  redis.pcall("HDEL", KEYS[7], unpack(names))
  redis.pcall("HDEL", KEYS[6], unpack(names))
  -- People use these keys; they may have any type.
  for _, name in ipairs(names) do
    -- The field `*` pauses all entries. It does not belong to an entry of that name.
    if name ~= "*" then
      redis.pcall("HDEL", ARGV[3], name)
    end
    redis.pcall("DEL", ARGV[2] .. name)
  end
  redis.call("HDEL", KEYS[2], unpack(names))
end
return names
