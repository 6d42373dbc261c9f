-- Reads delayed jobs, one page at a time. Changes nothing.
--
-- KEYS[1]  schedule  zset  timestamps that have a bucket
--
-- The script also reads the lists `delayed:MEMBER`, the buckets.
--
-- ARGV[1]    prefix of a bucket's key
-- ARGV[2,3]  scores of the first and the last bucket; an exclusive bound begins with `(`
-- ARGV[4]    number of members of the first score that are skipped
-- ARGV[5]    number of items that are skipped in the first bucket
-- ARGV[6]    number of items after which the page is full
-- ARGV[7]    number of bytes after which the page is full
--
-- Returns  flat: where the next page begins (score, or an empty text if there is none; members to skip; items to skip),
--          and for each bucket its member, its score, the index of its first item, the number of items, and the items.
--          A bucket that is no list has none

-- Few items are read with one command, and only one if they are large, because Redis holds them twice.
local MOST, LARGE = 64, 4096
local MEMBERS = 1000

local prefix, skip, offset = ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5])
local items_left, bytes_left = tonumber(ARGV[6]), tonumber(ARGV[7])
local members = redis.call("ZRANGEBYSCORE", KEYS[1], ARGV[2], ARGV[3], "WITHSCORES", "LIMIT", skip, MEMBERS)

local reply, n = { "", 0, 0 }, 3
local score, chunk = nil, 1
for i = 1, #members, 2 do
  local member = members[i]
  if members[i + 1] ~= score then
    -- In a page that begins within a score, these members come after those that are skipped.
    skip = (i == 1 and members[2] == ARGV[2]) and skip or 0
    score = members[i + 1]
  end
  local header = n
  reply[n + 1], reply[n + 2], reply[n + 3], n = member, score, offset, n + 4
  local first, is_all = offset, false
  while not is_all and items_left > 0 and bytes_left > 0 do
    local wanted = math.min(chunk, items_left)
    local items = redis.pcall("LRANGE", prefix .. member, first, first + wanted - 1)
    items = items.err and {} or items
    local bytes = 0
    for j = 1, #items do
      reply[n + j] = items[j]
      bytes = bytes + #items[j]
    end
    n, first = n + #items, first + #items
    items_left, bytes_left = items_left - #items, bytes_left - bytes
    chunk = bytes > LARGE * #items and 1 or math.min(2 * chunk, MOST)
    is_all = #items < wanted
  end
  reply[header + 4] = first - offset
  if not is_all then
    reply[1], reply[2], reply[3] = score, skip, first
    return reply
  end
  skip, offset = skip + 1, 0
end
if #members == 2 * MEMBERS then
  reply[1], reply[2] = score, skip
end
return reply
