-- Counts delayed jobs, one page of buckets at a time. Changes nothing.
--
-- KEYS[1]  schedule  zset  timestamps that have a bucket
--
-- In addition it reads the lists `delayed:MEMBER`, the buckets.
--
-- ARGV[1]  prefix of a bucket's key
-- ARGV[2]  now, Unix seconds: what is due counts as due
-- ARGV[3]  score at which the page begins, or -inf
-- ARGV[4]  number of members of that score that are skipped, because an earlier page has counted them
-- ARGV[5]  maximum number of buckets in the page
--
-- Returns  number of jobs; number of due jobs; number of buckets; the score at which the next page begins, or an empty
--          text if there is none; and how many members of that score it skips. A bucket that is no list counts as empty

local members = redis.call("ZRANGEBYSCORE", KEYS[1], ARGV[3], "+inf", "WITHSCORES", "LIMIT", ARGV[4], ARGV[5])
local now, jobs, due, skip = tonumber(ARGV[2]), 0, 0, 0
local score = ARGV[3]
if #members > 0 and members[2] == score then
  skip = tonumber(ARGV[4])
end
for i = 1, #members, 2 do
  local length = redis.pcall("LLEN", ARGV[1] .. members[i])
  length = type(length) == "number" and length or 0
  jobs = jobs + length
  if tonumber(members[i + 1]) <= now then
    due = due + length
  end
  if members[i + 1] ~= score then
    score, skip = members[i + 1], 0
  end
  skip = skip + 1
end
local is_last = #members / 2 < tonumber(ARGV[5])
return { jobs, due, #members / 2, is_last and "" or score, skip }
