-- Included in other scripts: records the outcomes of an entry's fires, and finds out whether the entry is paused.
-- Nothing here fails: no fire waits for these keys, whatever they hold.
--
-- `history:NAME` is a list, newest record first. A record is
--
--   OUTCOME FIRST LAST COUNT AT LATENESS REASON
--
--   FIRST, LAST  the first and the last fire time, Unix seconds
--   COUNT        number of fire times; `-`: too many to count
--   AT           when it was recorded, by the host's clock, Unix milliseconds
--   LATENESS     time from when the fire was due to when it was enqueued, milliseconds; `-` if it was not enqueued
--   REASON       Redis' error, only if the fire was rejected
--
-- Each fire that is enqueued has its own record. Consecutive fires with another outcome share one.

-- Returns, by number of the entry, when its pause ends: Unix seconds, math.huge if the pause has no end, 0 if it
-- is not paused. `paused` is a hash: an entry's name, or `*` for all entries -> JSON. A pause without a number in
-- `until` has no end.
local function pauses_of(paused, names)
  local pauses = redis.pcall("HMGET", paused, "*", unpack(names))
  local function end_of(pause)
    if not pause then
      return 0
    end
    local read, fields = pcall(cjson.decode, pause)
    local last = read and type(fields) == "table" and fields["until"]
    -- NaN is not equal to itself.
    return type(last) == "number" and last == last and last or math.huge
  end
  local of_all, ends = end_of(pauses[1]), {}
  for i = 1, #names do
    ends[i] = math.max(of_all, end_of(pauses[i + 1]))
  end
  return ends
end

local function add(history, most, at, outcome, first, last, count, lateness, reason)
  local function record(from, number)
    local text = table.concat({ outcome, from, last, number, at, lateness }, " ")
    return reason and text .. " " .. reason or text
  end
  if lateness == "-" then
    -- A job that a person asked for meanwhile does not end a row of scheduled fires.
    local newest, index = redis.pcall("LRANGE", history, 0, 9), 1
    while (newest[index] or ""):find("^triggered ") or (newest[index] or ""):find("^backfilled ") do
      index = index + 1
    end
    local before, from, to, number = (newest[index] or ""):match("^(%S+) (%d+) (%d+) (%S+)")
    if before and tonumber(last) < tonumber(from) then
      -- The same fire was decided again after a restart, and the history already has a later one.
      return
    elseif before == outcome then
      local known, more = tonumber(number), tonumber(count)
      if tonumber(last) <= tonumber(to) then
        -- The same fire times again: a retry, or a decision made again after a restart.
        return
      elseif tonumber(first) > tonumber(to) then
        number = known and more and known + more or "-"
      else
        -- Decided again after a restart, with more fire times by now.
        number = from == first and count or "-"
      end
      redis.pcall("LSET", history, index - 1, record(from, number))
      return
    end
  end
  local length = redis.pcall("LPUSH", history, record(first, count))
  if type(length) == "number" and length > most then
    redis.pcall("LTRIM", history, 0, most - 1)
  end
end

-- Records the outcome of fires of one entry. `most` is the maximum number of records in its history.
local function note(history, most, ...)
  if most > 0 then
    pcall(add, history, most, ...)
  end
end
