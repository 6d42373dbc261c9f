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
-- ARGV[5]    how many items and buckets are enough: to move a bucket takes as long as an item in it
-- ARGV[6]    how many bytes are enough
-- ARGV[7]    the member whose bucket is being moved, or nothing: so many items at its head are passed
-- ARGV[8]    over
-- ARGV[9 ..] members that are passed over
--
-- Returns  nil   the lease is lost
--          flat  the score of the last bucket read if the batch is full, else nil; and for each bucket
--                read, in order: its member, the number of its items (or Redis' error, as of a wrong
--                type), and the items
-- The last bucket may have more items.

local call, pcall = redis.call, redis.pcall

if call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

local passed = {}
for i = 9, #ARGV do
  passed[ARGV[i]] = true
end

-- Members are read few at a time, for most have more than one item.
local MEMBERS = 100
-- Items are read few at a time, and one at a time where they are large: nothing tells their size
-- before.
local ITEMS = 64
local LARGE = 4096
local chunk_size = 1

-- Texts of numbers: for small buckets, Redis takes longer to write them than to read the bucket.
local text = setmetatable({}, { __index = function(known, number)
  known[number] = tostring(number)
  return known[number]
end })

local items_left, bytes_left = tonumber(ARGV[5]), tonumber(ARGV[6])
local reply, n = { false }, 1

-- Adds a bucket to the reply, from its item `first` on.
local function read(member, first)
  local key, header = ARGV[2] .. member, n + 2
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
      reply[n + i] = item
      bytes = bytes + #item
    end
    n, first = n + count, first + count
    items_left, bytes_left = items_left - count, bytes_left - bytes
    chunk_size = bytes > LARGE * count and 1 or math.min(chunk_size * 2, ITEMS)
  until count < wanted or items_left <= 0 or bytes_left <= 0
  reply[header] = n - header
end

local offset = 0
repeat
  local members =
    call("ZRANGEBYSCORE", KEYS[2], ARGV[3], ARGV[4], "LIMIT", offset, MEMBERS)
  for i, member in ipairs(members) do
    if not passed[member] then
      read(member, member == ARGV[7] and tonumber(ARGV[8]) or 0)
      items_left = items_left - 1
      if items_left <= 0 or bytes_left <= 0 then
        local last = { "WITHSCORES", "LIMIT", offset + i - 1, 1 }
        reply[1] = call("ZRANGEBYSCORE", KEYS[2], ARGV[3], ARGV[4], unpack(last))[2]
        return reply
      end
    end
  end
  offset = offset + MEMBERS
until #members < MEMBERS
return reply
