-- Records in the histories of entries which of their fires were given up.
--
-- KEYS[1]  lock    string  hostname:pid of the leader
-- KEYS[2]  fired   hash    the fence: entry name -> last fire time, Unix seconds
--
-- Beside them it reads the hash `paused` and writes the lists `history:NAME` (history.lua), which our user may not be
-- allowed to use: Redis would refuse the whole script.
--
-- ARGV[1]  our hostname:pid; we record only while it holds the lock
-- ARGV[2]  what stands before the name in the key of a history
-- ARGV[3]  how many records a history may have; 0: none is written
-- ARGV[4]  now, Unix milliseconds
-- ARGV[5]  the key `paused`
-- ARGV[4i+2 .. 4i+5]  entry name, its first and last fire time that were given up, and how many these are (`-`:
--                     too many to be counted)
--
-- Returns  nil             the lease is lost: nothing was done
--          for each entry  1  recorded as missed
--                          8  recorded as paused, and in the fence: the entry is paused until after the last of them
--                          0  another scheduler has fired the last of them, or a later one: nothing was done

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
  -- Ten digits: as fire.lua reads it.
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
