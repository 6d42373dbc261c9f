-- A part of other scripts: what it takes to record what became of the fires of an entry, and to know whether the
-- entry is paused. Nothing here fails: whatever these keys hold, no fire waits for them.
--
-- `history:NAME` is a list, newest record first. A record is
--
--   OUTCOME FIRST LAST COUNT AT LATENESS REASON
--
--   FIRST, LAST  the first and the last fire time, Unix seconds
--   COUNT        how many fire times these are; `-`: too many to be counted
--   AT           when it was recorded, by the host's clock, Unix milliseconds
--   LATENESS     how long after its fire was due, milliseconds; `-` where nothing was enqueued
--   REASON       Redis' words, of a fire that was rejected; else it is not there
--
-- What is enqueued has a record for each fire. Fires in a row with another outcome share one.

-- Whether these entries are paused: by number of the entry, the end of its pause in Unix seconds (math.huge: none);
-- 0: it is not paused. `paused` is a hash: an entry's name, or `*` for all -> JSON. Without a number in `until`, the
-- pause has no end.
local function pauses_of(paused, names)
  local pauses = redis.pcall("HMGET", paused, "*", unpack(names))
  local function end_of(pause)
    if not pause then
      return 0
    end
    local read, fields = pcall(cjson.decode, pause)
    local last = read and type(fields) == "table" and fields["until"]
    -- What is not itself is no number.
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
    local head = redis.pcall("LRANGE", history, 0, 0)[1]
    local before, from, to, number = (head or ""):match("^(%S+) (%d+) (%d+) (%S+)")
    if before and tonumber(last) < tonumber(from) then
      -- Decided again after a restart: what is recorded is newer.
      return
    elseif before == outcome then
      local known, more = tonumber(number), tonumber(count)
      if tonumber(last) <= tonumber(to) then
        -- The same again: a retry, or the decision of a scheduler that was restarted.
        return
      elseif tonumber(first) > tonumber(to) then
        number = known and more and known + more or "-"
      else
        -- Decided again, and there are more by now.
        number = from == first and count or "-"
      end
      redis.pcall("LSET", history, 0, record(from, number))
      return
    end
  end
  local length = redis.pcall("LPUSH", history, record(first, count))
  if type(length) == "number" and length > most then
    redis.pcall("LTRIM", history, 0, most - 1)
  end
end

-- Records fires of one entry: `most` is how many records its history may have.
local function note(history, most, ...)
  if most > 0 then
    pcall(add, history, most, ...)
  end
end
