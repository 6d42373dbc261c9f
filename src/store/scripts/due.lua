-- Reads due buckets, oldest first, until a batch is full. Changes nothing.
--
-- KEYS[1]  lock      string  hostname:pid of the leader
-- KEYS[2]  schedule  zset    timestamps that have a bucket
--
-- Beside them it reads the lists `delayed:MEMBER`, the buckets: delayed items of one timestamp, in order
-- of arrival. Which these are is known in here only. In a cluster that may be, for all keys of a
-- namespace with a hash tag are in one slot.
--
-- ARGV[1]    our hostname:pid; we read only while it holds the lock
-- ARGV[2]    what stands before the member in the key of a bucket
-- ARGV[3,4]  the oldest and the newest score that is looked at
-- ARGV[5]    so many members are passed over, the first ones of these scores
-- ARGV[6]    how many items and buckets are enough: to move a bucket takes as long as an item in it
-- ARGV[7]    how many bytes are enough
-- ARGV[8]    a larger item is not read
-- ARGV[9]    the member whose bucket is being moved, or has items that stay, or nothing: so many items at its
-- ARGV[10]   head are passed over
--
-- Returns  nil   the lease is lost
--          flat  1 if the batch is full, else 0; the score of the last bucket read, or nil; how many members
--                of that score stand before it; and for each bucket read, in order: its member, the number
--                of its items (or Redis' error, as of a wrong type), and the items. A negative number is the
--                size of the next item of the bucket, which is too large; if others are before it, the bucket
--                is there twice
-- The last bucket, and one with an item that is too large, may have more items.

local call, pcall = redis.call, redis.pcall

if call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

-- Members are read few at a time, for most have more than one item.
local MEMBERS = 100
-- Items are read few at a time, and one at a time where they are large: nothing tells their size before, and
-- Redis holds all items of one command twice.
local ITEMS = 8
local LARGE = 4096
local chunk_size = 1

-- Texts of numbers: for small buckets, Redis takes longer to write them than to read the bucket.
local text = setmetatable({}, { __index = function(known, number)
  known[number] = tostring(number)
  return known[number]
end })

local items_left, bytes_left, largest = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local reply, n = { 0, false, 0 }, 3

-- Adds a bucket to the reply, from its item `first` on.
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
    -- One that is too large takes Redis as much time as if it were sent.
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

-- Tells where `last` stands, the last one of so many members that were looked at.
local function tell_place(last, looked_at, index)
  local score = call("ZRANGEBYSCORE", KEYS[2], ARGV[3], ARGV[4], "WITHSCORES", "LIMIT", index, 1)[2]
  reply[2], reply[3] = score, index
  if score ~= ARGV[3] then
    -- The first one of this score is among them.
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
