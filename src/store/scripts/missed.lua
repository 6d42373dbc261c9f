-- Records in the histories of entries which of their fires were given up.
--
-- KEYS[1]  lock    string  hostname:pid of the leader
-- KEYS[2]  fired   hash    the fence: entry name -> last fire time, Unix seconds
-- KEYS[3]  paused  hash    entry name, or `*` for all -> its pause (history.lua)
--
-- Beside them it writes the lists `history:NAME` (history.lua).
--
-- ARGV[1]  our hostname:pid; we record only while it holds the lock
-- ARGV[2]  what stands before the name in the key of a history
-- ARGV[3]  how many records a history may have; 0: none is written
-- ARGV[4]  now, Unix milliseconds
-- ARGV[4i+1 .. 4i+4]  entry name, its first and last fire time that were given up, and how many these are (`-`:
--                     too many to be counted)
--
-- Returns  nil             the lease is lost: nothing was done
--          for each entry  1  recorded as missed
--                          8  recorded as paused: its pause has begun before the first of them was due
--                          0  another scheduler has fired the last of them, or a later one: nothing was done

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

local names = {}
for i = 5, #ARGV, 4 do
  names[#names + 1] = ARGV[i]
end
local pauses = pauses_of(KEYS[3], names)
local fired = redis.call("HMGET", KEYS[2], unpack(names))
local outcomes = {}
for i, name in ipairs(names) do
  local first, last, count = unpack(ARGV, 4 * i + 2, 4 * i + 4)
  local paused = tonumber(first) < pauses[i]
  local fence = tonumber((fired[i] or ""):match("^%d+$") or 0)
  if fence >= tonumber(last) then
    outcomes[i] = 0
  else
    note(ARGV[2] .. name, tonumber(ARGV[3]), ARGV[4], paused and "paused" or "missed", first, last, count, "-")
    outcomes[i] = paused and 8 or 1
  end
end
return outcomes
