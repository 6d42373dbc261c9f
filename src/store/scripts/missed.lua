-- Records in the histories of entries which fires were missed and are not enqueued.
--
-- KEYS[1]  lock    string  hostname:pid of the leader
-- KEYS[2]  fired   hash    the fence: entry name -> last fire time, Unix seconds
--
-- The script also reads the hash `paused` and writes the lists `history:NAME` (history.lua). They are not among
-- KEYS, because Redis would refuse the whole script if its user may not use one of them.
--
-- ARGV[1]  our hostname:pid; nothing is done unless the lock holds it
-- ARGV[2]  prefix of the name in the key of a history
-- ARGV[3]  maximum number of records in a history; 0: none is written
-- ARGV[4]  now, Unix milliseconds
-- ARGV[5]  the key `paused`
-- ARGV[4i+2 .. 4i+5]  entry name, its first and last missed fire time, and their number (`-`: too many to count)
--
-- Returns  nil             we do not hold the lease: nothing was done
--          for each entry  1  recorded as missed
--                          8  recorded as paused, and in the fence: the entry is paused until after the last of them
--                          0  a scheduler has already fired the last of them, or a later one: nothing was done

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

local names = {}
for i = 6, #ARGV, 4 do
  names[#names + 1] = ARGV[i]
end
local pauses = pauses_of(ARGV[5], names)
local outcomes = {}
for i, name in ipairs(names) do
  local first, last, count = unpack(ARGV, 4 * i + 3, 4 * i + 5)
  local paused = tonumber(last) < pauses[i]
  -- Ten digits at most, as fire.lua reads it.
  local fired = redis.call("HGET", KEYS[2], name)
  local fence = tonumber((fired or ""):match("^%d%d?%d?%d?%d?%d?%d?%d?%d?%d?$") or 0)
  if fence >= tonumber(last) then
    outcomes[i] = 0
  else
    note(ARGV[2] .. name, tonumber(ARGV[3]), ARGV[4], paused and "paused" or "missed", first, last, count, "-")
    outcomes[i] = paused and 8 or 1
    if paused then
      redis.call("HSET", KEYS[2], name, last)
    end
  end
end
return outcomes
