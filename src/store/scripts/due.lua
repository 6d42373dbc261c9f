-- Reads due buckets, oldest first, until a batch is full. Changes nothing.
--
-- KEYS[1]  lock      string  hostname:pid of the leader
-- KEYS[2]  schedule  zset    timestamps that have a bucket
--
-- The script also reads the lists `delayed:MEMBER`, the buckets: delayed items of one timestamp, in order of
-- arrival. They are not among KEYS, because only the script finds out which ones they are. In a cluster this is
-- allowed, because the hash tag of the namespace puts all keys into one slot.
--
-- ARGV[1]    our hostname:pid; nothing is read unless the lock holds it
-- ARGV[2]    prefix of the member in the key of a bucket
-- ARGV[3,4]  the lowest and the highest score to read
-- ARGV[5]    number of members to skip, counted from the lowest score
-- ARGV[6]    maximum number of items plus buckets: removing a bucket takes as long as moving an item
-- ARGV[7]    number of bytes after which the batch is full
-- ARGV[8]    size in bytes; larger items are not read
-- ARGV[9]    a member whose bucket is being moved, or has items that stay; or empty
-- ARGV[10]   number of items to skip at the head of that bucket
--
-- Returns  nil   we do not hold the lease
--          flat  1 if the batch is full, else 0; the score of the last bucket read, or nil; the number of members
--                of that score before it; and for each bucket read, in order: its member, the number of its
--                items (or Redis' error, such as a wrong type), and the items. A negative number is the size of
--                the bucket's next item, which is too large; if items are returned before it, the bucket is
--                there twice
-- The last bucket, and a bucket with an item that is too large, may have more items.

local call, pcall = redis.call, redis.pcall

if call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

-- Members are read in small steps, because the buckets of a few usually fill the batch.
local MEMBERS = 100
-- Items are read in small steps, and one by one if they are large: their sizes are not known before, and Redis
-- holds all items of one command in memory twice.
local ITEMS = 8
local LARGE = 4096
local chunk_size = 1

-- Cache of numbers as text. For small buckets, formatting the numbers takes longer than reading the bucket.
local text = setmetatable({}, { __index = function(known, number)
  known[number] = tostring(number)
  return known[number]
end })

local items_left, bytes_left, largest = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local reply, n = { 0, false, 0 }, 3

-- Adds a bucket to the reply, starting with its item number `first`.
local function read(member, first)
  local key, header = ARGV[2] .. member, n + 2
  local too_large
  reply[n + 1], n = member, header
  repeat
    local wanted = chunk_size < items_left and chunk_size or items_left
    local chunk = pcall("LRANGE", key, text[first], text[first + wanted - 1])
    if chunk.err then
      reply[header], n = chunk.err, header
      return
    end
    local count, bytes = #chunk, 0
    for i = 1, count do
      local item = chunk[i]
      if #item > largest then
        too_large = #item
      end
      if too_large or bytes >= bytes_left then
        count = i - 1
        break
      end
      reply[n + i] = item
      bytes = bytes + #item
    end
    n, first = n + count, first + count
    -- An item that is too large took as much time to read as one that is returned.
    items_left, bytes_left = items_left - count, bytes_left - bytes - (too_large or 0)
    chunk_size = bytes > LARGE * count and 1 or math.min(chunk_size * 2, ITEMS)
  until count < wanted or items_left <= 0 or bytes_left <= 0
  reply[header] = n - header
  if too_large and n > header then
    reply[n + 1], header = member, n + 2
    n = header
  end
  if too_large then
    reply[header] = -too_large
  end
end

-- Adds the place of `last` to the reply. It is the last of the `looked_at` members that were read.
local function tell_place(last, looked_at, index)
  local score = call("ZRANGEBYSCORE", KEYS[2], ARGV[3], ARGV[4], "WITHSCORES", "LIMIT", index, 1)[2]
  reply[2], reply[3] = score, index
  if score ~= ARGV[3] then
    -- The first member with this score is among those that were read.
    local same = call("ZRANGEBYSCORE", KEYS[2], score, score, "LIMIT", 0, looked_at)
    for i, member in ipairs(same) do
      reply[3] = member == last and i - 1 or reply[3]
    end
  end
end

local passed = tonumber(ARGV[5])
local offset, last = passed, nil
repeat
  local members =
    call("ZRANGEBYSCORE", KEYS[2], ARGV[3], ARGV[4], "LIMIT", offset, MEMBERS)
  for _, member in ipairs(members) do
    read(member, offset == passed and member == ARGV[9] and tonumber(ARGV[10]) or 0)
    offset, last = offset + 1, member
    items_left = items_left - 1
    if items_left <= 0 or bytes_left <= 0 then
      reply[1] = 1
      break
    end
  end
until reply[1] == 1 or #members < MEMBERS
if last then
  tell_place(last, offset - passed, offset - 1)
end
return reply
