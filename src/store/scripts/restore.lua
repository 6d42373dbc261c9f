-- Takes records out of the quarantine, and puts their items back into the buckets that they were in.
--
-- KEYS[1]  schedule  zset  timestamps that have a bucket
--
-- In addition it writes the quarantine, the buckets `delayed:MEMBER` and the reverse index `timestamps:ITEM`. They are not in
-- KEYS, because Redis rejects a whole script if its user may not use one of KEYS.
--
-- ARGV[1]  key of the quarantine
-- ARGV[2]  prefix of a bucket's key
-- ARGV[3]  prefix of a reverse index's key
-- ARGV[4...]  for each record: the record, the member of its bucket, and its item. If the member is an empty text, the record
--             is discarded with its item
--
-- Returns for each record  1       done
--                          0       it is not in quarantine any more
--                          string  Redis' error; nothing was done with this record

local call, pcall = redis.call, redis.pcall
local quarantine, outcomes = ARGV[1], {}
for arg = 4, #ARGV, 3 do
  local record, member, item = unpack(ARGV, arg, arg + 2)
  local found = pcall("LPOS", quarantine, record)
  local outcome = found and 1 or 0
  if type(found) == "table" then
    outcome = found.err
  elseif found and member ~= "" then
    local pushed = pcall("RPUSH", ARGV[2] .. member, item)
    if type(pushed) == "table" then
      outcome = pushed.err
    else
      pcall("SADD", ARGV[3] .. item, "delayed:" .. member)
      call("ZADD", KEYS[1], member, member)
    end
  end
  if outcome == 1 then
    call("LREM", quarantine, 1, record)
  end
  outcomes[#outcomes + 1] = outcome
end
return outcomes
