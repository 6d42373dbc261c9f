-- Reads due buckets, oldest first, until a batch is full. Changes nothing.
--
-- KEYS[i]  bucket i  list  delayed items of one timestamp, in order of arrival
--
-- ARGV[1]  how many items are enough
-- ARGV[2]  how many bytes are enough
--
-- Returns for each bucket read, in order: its items, or Redis' error (wrong type) as a string.
-- The last bucket may have more items; buckets for which there was no room are left out.

-- Items are read few at a time, and one at a time where they are large: nothing tells their size
-- before.
local chunk_size = 1
local LARGE = 4096

-- Texts of numbers: for small buckets, Redis takes longer to write them than to read the bucket.
local text = setmetatable({}, { __index = function(known, number)
  known[number] = tostring(number)
  return known[number]
end })

local items_left, bytes_left = tonumber(ARGV[1]), tonumber(ARGV[2])
local buckets = {}
for i = 1, #KEYS do
  local items = {}
  repeat
    local wanted = math.min(chunk_size, items_left)
    local chunk = redis.pcall("LRANGE", KEYS[i], text[#items], text[#items + wanted - 1])
    if chunk.err then
      items = chunk.err
      break
    end
    local bytes = 0
    for j = 1, #chunk do
      items[#items + 1] = chunk[j]
      bytes = bytes + #chunk[j]
    end
    chunk_size = bytes > LARGE * #chunk and 1 or math.min(chunk_size * 2, 64)
    bytes_left = bytes_left - bytes
    items_left = items_left - #chunk
  until #chunk < wanted or items_left <= 0 or bytes_left <= 0
  buckets[i] = items
  if items_left <= 0 or bytes_left <= 0 then
    break
  end
end
return buckets
