-- Removes delayed jobs from their buckets, enqueues them now, or moves them to another time. No lease is needed: a job that
-- a scheduler moves meanwhile is either moved or changed, never both.
--
-- KEYS[1]  schedule  zset  timestamps that have a bucket
-- KEYS[2]  queues    set   names of all queues
--
-- In addition it writes the buckets `delayed:MEMBER`, the queues, and the reverse index `timestamps:ITEM`: the set of buckets
-- that hold this item. They are not in KEYS, because Redis rejects a whole script if its user may not use one of KEYS.
--
-- ARGV[1]  prefix of a bucket's key
-- ARGV[2]  prefix of a reverse index's key
-- ARGV[3]  prefix of a queue's key
-- ARGV[4]  the member to which the jobs are moved, or an empty text
-- ARGV[5...]  for each job: its member, its index in the bucket when it was read, the item, the name of its queue, and its
--             payload. If the queue is an empty text, the job is not enqueued
--
-- Returns for each job  1       done
--                       0       the job is not in its bucket any more
--                       2       not tried, because it took long to find the jobs before it
--                       string  Redis' error, for example because the queue's key has another type; the job stays

local call, pcall = redis.call, redis.pcall
local prefix, index_prefix, queue_prefix, target = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

-- Redis does not roll back a script that fails. What could fail after the first change is tried before, without effect.
call("ZREM", KEYS[1], "\0nothing")
call("LREM", prefix .. "\0nothing", 1, "")
local set = pcall("LSET", prefix .. "\0nothing", 0, "")
if not set.err:find("no such key", 1, true) then
  return set
end

-- Replaces a job that leaves its bucket, until the end, so that the indexes of the others do not change.
local GONE = "\0rescue_scheduler: gone"
local touched = {}

-- How many items may be compared in one call to find jobs that are not where they were. Other clients wait meanwhile.
local comparisons = 100000

-- Returns the index of the item in its bucket: the one when it was read, or else where it is now, nearer to the head, because
-- others left the bucket. `false`: it is gone; `nil`: not tried.
local function find(key, index, item)
  local there = pcall("LINDEX", key, index)
  if there == item then
    return tonumber(index)
  elseif type(there) == "table" then
    return false
  elseif comparisons <= 0 then
    return nil
  end
  comparisons = comparisons - index - 1
  local found = pcall("LPOS", key, item, "MAXLEN", index + 1)
  return type(found) == "number" and found
end

-- Puts the item where it belongs. Returns Redis' error, if there is one.
local function put(item, queue, payload)
  local pushed
  if queue ~= "" then
    -- The name comes first, because a script that fails after a push is not rolled back.
    local named = pcall("SADD", KEYS[2], queue)
    if type(named) == "table" then
      return named.err
    end
    pushed = pcall("RPUSH", queue_prefix .. queue, payload)
  elseif target ~= "" then
    pushed = pcall("RPUSH", prefix .. target, item)
  end
  if type(pushed) == "table" then
    return pushed.err
  elseif queue == "" and target ~= "" then
    pcall("SADD", index_prefix .. item, "delayed:" .. target)
    call("ZADD", KEYS[1], target, target)
  end
end

local outcomes = {}
for arg = 5, #ARGV, 5 do
  local member, index, item, queue, payload = unpack(ARGV, arg, arg + 4)
  local key, outcome = prefix .. member, 1
  local place = find(key, index, item)
  if not place then
    outcome = place == nil and 2 or 0
  elseif member ~= target then
    outcome = put(item, queue, payload) or 1
    if outcome == 1 then
      call("LSET", key, place, GONE)
      -- The index only serves removals by apps, so an index of the wrong type does not matter.
      pcall("SREM", index_prefix .. item, "delayed:" .. member)
      touched[member] = true
    end
  end
  outcomes[#outcomes + 1] = outcome
end
for member in pairs(touched) do
  local key = prefix .. member
  call("LREM", key, 0, GONE)
  if call("EXISTS", key) == 0 then
    call("ZREM", KEYS[1], member)
  end
end
return outcomes
