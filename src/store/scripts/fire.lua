-- Enqueues the jobs of fires, each fire time of an entry at most once, or skips them if jobs would pile up.
--
-- KEYS[1]  lock              string  hostname:pid of the leader
-- KEYS[2]  fired             hash    the fence: entry name -> last fire time, Unix seconds
-- KEYS[3]  fires             hash    entry name -> number of its fires, if the entry limits them
-- KEYS[4]  last_enqueued_at  hash    entry name -> time as Ruby prints it, for resque-web
-- KEYS[5]  stamps            hash    entry name -> the time that we wrote there, our lock prefix if we have one,
--                                    and the fire time that was enqueued then, Unix seconds
-- KEYS[6]  queues            set     names of all queues
--
-- The script also writes the lists `queue:NAME`, reads the hash `paused` and writes the lists `history:NAME`
-- (history.lua). For guards it reads the set `workers` and, for each id in it, the string `worker:ID`: the job
-- that the worker is running. These keys are not among KEYS, because Redis refuses a whole script if its user may
-- not use one of KEYS. In a cluster this is allowed, because the hash tag of the namespace puts all keys into one
-- slot.
--
-- ARGV[1]  our hostname:pid; nothing is done unless the lock holds it
-- ARGV[2]  now, as Ruby prints it
-- ARGV[3]  now, Unix seconds; with a lock prefix, a space and that prefix
-- ARGV[4]  number of the fires: n
-- ARGV[5]  how far a fire time may be ahead of this server's clock, milliseconds (empty: any time).
--          Jitter does not count
-- ARGV[6]  prefix of the name in the key of a queue
-- ARGV[7]  the key of the set of all workers' ids
-- ARGV[8]  prefix of the name in the key of a history
-- ARGV[9]  maximum number of records in a history; 0: none is written
-- ARGV[10] now, Unix milliseconds
-- ARGV[11] the key `paused`
-- ARGV[7i+5 .. 7i+11]  of fire i: entry name, maximum number of its fires (empty: any number), fire time, queue
--                      name, payload; the outcome to record if it is enqueued, and its lateness, milliseconds
-- then for each fire that has a guard:
--   ARGV  the fire's number: i
--   ARGV  queue length from which on it is skipped (empty: any length)
--   ARGV  which identical jobs make it skip: `queued`; `running`, which is queued or running; or none
--         (empty)
--   ARGV  number of the texts that follow; 0: identical payloads are equal in every byte
--   ARGV  the texts that identical payloads consist of, in this order, from the first byte to the last.
--         Between two of them is text made of letters, digits, `:`, `.` and `-`, such as fire times and
--         texts that contain them
--
-- Returns  nil          we do not hold the lease: nothing was done
--          for each fire  1       enqueued
--                         0       already enqueued or skipped: the fence holds this fire time or a later one;
--                                 or the fence has lost the entry, and its stamp holds such a time
--                         2       skipped: its queue is full
--                         3       skipped: an identical job is among the newest in its queue
--                         4       skipped: a worker is running an identical job
--                         5       not enqueued: the entry has had all its fires
--                         6       too early by this server's clock: nothing was done. The host's clock is wrong
--                                 then, and a fence in the future would stop the entry from firing
--                         7       put off: its queue is too long to search in this call too; nothing was done,
--                                 and the same holds for later fires of the entry
--                         8       paused: the entry or all entries are. The fence has the fire time, so that the
--                                 fire is not caught up later
--                         string  rejected: Redis' error (wrong type; or the fire or its guard lacks a right); it
--                                 can be retried
--
-- Atomic: a fire is recorded in the fence if and only if its payload was pushed, or it was skipped or paused.
-- Skipped fires are not counted in `fires`. Keys that only guards, stamps, pauses and histories use do not stop a
-- fire if they have the wrong type. Only pauses are decoded here; payloads are compared as text. A worker's status
-- contains the payload as Resque writes it: compact JSON. In an app with ActiveSupport, Resque escapes some
-- characters in it, and in the jobs that the app enqueues.

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return false
end

local count = tonumber(ARGV[4])

-- The latest fire time that is not too early.
local latest = math.huge
if ARGV[5] ~= "" then
  local time = redis.call("TIME")
  latest = time[1] + time[2] / 1000000 + ARGV[5] / 1000
end

-- What ActiveSupport escapes: with `escape_html_entities_in_json`, and with `escape_js_separators_in_json`, which
-- concerns U+2028 and U+2029. Either setting may be off.
local ESCAPES = {
  ["[&<>]"] = { ["&"] = "\\u0026", ["<"] = "\\u003c", [">"] = "\\u003e" },
  ["\226\128[\168\169]"] = { ["\226\128\168"] = "\\u2028", ["\226\128\169"] = "\\u2029" },
}

-- Returns all forms of `parts`, the texts of a payload: unescaped, and as ActiveSupport escapes them.
local function forms_of(parts)
  local forms = { parts }
  for letters, escapes in pairs(ESCAPES) do
    for form = 1, #forms do
      local escaped, changes = {}, 0
      for i, text in ipairs(forms[form]) do
        local more
        escaped[i], more = text:gsub(letters, escapes)
        changes = changes + more
      end
      forms[#forms + 1] = changes > 0 and escaped or nil
    end
  end
  return forms
end

-- The guards, by number of their fires.
local guards = {}
local arg = 7 * count + 12
while arg <= #ARGV do
  local number, longest, overlap, parts = unpack(ARGV, arg, arg + 3)
  local pattern = {}
  arg = arg + 4
  for part = 1, tonumber(parts) do
    pattern[part] = ARGV[arg]
    arg = arg + 1
  end
  pattern[1] = pattern[1] or ARGV[7 * number + 9]
  guards[tonumber(number)] =
    { longest = tonumber(longest), overlap = overlap, forms = forms_of(pattern) }
end

-- Adds the key to an error about a missing right, because Redis does not name it.
local function explain(err, verb, key)
  if err:find("NOPERM", 1, true) or err:find("user executing the script", 1, true) then
    return "NOPERM: the Redis user may not " .. verb .. " `" .. key .. "`"
  end
  return err
end

-- Thrown by a guard whose queue is too long for what this call may still search.
local TOO_MUCH = {}

-- Returns the reply of a command, or nil if the key has the wrong type. Any other error, such as a missing right,
-- makes only the fire of this guard fail: it is thrown here and caught around the guard.
local function ask(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) ~= "table" or not reply.err then
    return reply
  elseif reply.err:find("WRONGTYPE", 1, true) then
    return nil
  end
  error({ err = command .. " for its guard: " .. explain(reply.err, "read", key) })
end

-- Returns where a payload of this form ends in `text`, if it begins at `from`.
local function end_of(form, text, from)
  for part = 1, #form do
    if part > 1 then
      local _, last = text:find("^[%w:.-]+", from)
      if not last then
        return nil
      end
      from = last + 1
    end
    local after = from + #form[part]
    if text:sub(from, after - 1) ~= form[part] then
      return nil
    end
    from = after
  end
  return from - 1
end

-- Returns where an identical payload ends in `text`, if it begins at `from`. Escaped forms are tried only if the
-- text has an escape.
local function identical(guard, text, from)
  local forms = text:find("\\u", 1, true) and #guard.forms or 1
  for form = 1, forms do
    local last = end_of(guard.forms[form], text, from)
    if last then
      return last
    end
  end
end

-- Limits of the search: the newest payloads of a queue, and bytes of them, for each queue and for all queues of
-- this call together. Other clients wait meanwhile.
local NEWEST, BYTES = 100000, 10485760
local left, bytes_left = NEWEST, BYTES
-- Payloads are read from the end of the queue, and more per step while they are small, because their sizes are not
-- known before.
local LARGE, MANY = 1048576, 128

local function is_queued(guard, queue)
  local length = math.min(ask("LLEN", queue) or 0, NEWEST)
  if length > left then
    error(TOO_MUCH)
  elseif #guard.forms[1] == 1 then
    left = left - length
    for _, form in ipairs(guard.forms) do
      if ask("LPOS", queue, form[1], "RANK", -1, "MAXLEN", NEWEST) then
        return true
      end
    end
    return false
  end
  local is_first, seen, wanted = bytes_left == BYTES, 0, 1
  while seen < length do
    if bytes_left <= 0 then
      if is_first then
        return false
      end
      error(TOO_MUCH)
    end
    local chunk = ask("LRANGE", queue, -seen - wanted, -seen - 1) or {}
    local bytes = 0
    for _, payload in ipairs(chunk) do
      if identical(guard, payload, 1) == #payload then
        return true
      end
      bytes = bytes + #payload
    end
    seen, left, bytes_left = seen + #chunk, left - #chunk, bytes_left - bytes
    wanted = bytes > LARGE and math.max(1, math.floor(wanted / 4)) or math.min(2 * wanted, MANY)
    wanted = math.min(wanted, length - seen)
  end
  return false
end

-- The jobs that workers are running; read at most once, when the first guard needs them.
local jobs

local function is_running(guard)
  if not jobs then
    local workers, read = ARGV[7], {}
    for _, id in ipairs(ask("SMEMBERS", workers) or {}) do
      read[#read + 1] = ask("GET", workers:sub(1, -2) .. ":" .. id) or nil
    end
    jobs = read
  end
  for _, job in ipairs(jobs) do
    -- The first match is the payload of the status; the job's arguments may contain the same text.
    local _, key = job:find('"payload":', 1, true)
    if key and identical(guard, job, key + 1) then
      return true
    end
  end
  return false
end

-- Outcomes in the history, by the number that is returned for a skipped fire.
local SKIPPED = { [2] = "skipped_queue_full", [3] = "skipped_queued", [4] = "skipped_running" }

-- Returns why the fire is skipped (2, 3 or 4), or nil if it is not.
local function skip(guard, queue)
  if guard.longest and (ask("LLEN", queue) or 0) >= guard.longest then
    return 2
  elseif guard.overlap == "" then
    return nil
  elseif is_queued(guard, queue) then
    return 3
  end
  return guard.overlap == "running" and is_running(guard) and 4 or nil
end

-- 2200-01-01: all fire times are before this. A later time in the fence was written by something else.
local END = 7258118400
-- No entry can have had this many fires.
local MOST = 4294967296

-- Returns the number in a record if we can have written it: decimal digits, less than `bound`. The scheduler reads
-- records in the same way. tonumber alone also accepts "0x7f", "1e9", "1.5", "nan" and " 1".
local function number(record, bound)
  local digits = record and #record <= 10 and record:match("^%d+$")
  local number = digits and tonumber(digits)
  return number and number < bound and number or nil
end

-- The entry names, by number of the fire.
local names = {}
for fire = 1, count do
  names[fire] = ARGV[7 * fire + 5]
end
local pauses = pauses_of(ARGV[11], names)

-- The stamps, by number of the fire; read at most once.
local stamps

-- Returns the last fire time of the entry of fire i, given its field in the fence. If Redis has lost only the
-- fence, for example by evicting the key, the stamp still has the last fire time that was enqueued. Stamps of
-- schedulers with another lock prefix do not count, because these have another fence.
local function last_fire(i, fence)
  local last = number(fence, END)
  if last then
    return last
  end
  if not stamps then
    -- A key of the wrong type has no stamps.
    stamps = redis.pcall("HMGET", KEYS[5], unpack(names))
  end
  local prefix, fire_time = (stamps[i] or ""):match("^%d+(.*) (%d+)$")
  local ours = prefix == ARGV[3]:match("^%d+(.*)$")
  return ours and number(fire_time, END) or 0
end

-- Entries with a fire that was put off.
local put_off = {}
local outcomes = {}
for i = 1, count do
  local name, times, fire_time, queue, payload, outcome, lateness = unpack(ARGV, 7 * i + 5, 7 * i + 11)
  local function record(what, late, reason)
    note(ARGV[8] .. name, tonumber(ARGV[9]), ARGV[10], what, fire_time, fire_time, "1", late, reason)
  end
  local key, limited = ARGV[6] .. queue, times ~= ""
  local last = redis.call("HGET", KEYS[2], name)
  local fires = limited and number(redis.call("HGET", KEYS[3], name), MOST) or 0
  if last_fire(i, last) >= tonumber(fire_time) then
    outcomes[i] = 0
  elseif tonumber(fire_time) > latest then
    outcomes[i] = 6
  elseif tonumber(fire_time) < pauses[i] then
    redis.call("HSET", KEYS[2], name, fire_time)
    record("paused", "-")
    outcomes[i] = 8
  elseif limited and fires >= tonumber(times) then
    outcomes[i] = 5
  elseif put_off[name] then
    outcomes[i] = 7
  elseif guards[i] then
    local looked, reason = pcall(skip, guards[i], key)
    if reason == TOO_MUCH then
      put_off[name], outcomes[i] = true, 7
    else
      outcomes[i] = looked and reason or not looked and (reason.err or reason) or nil
    end
    if looked and reason then
      redis.call("HSET", KEYS[2], name, fire_time)
      record(SKIPPED[reason], "-")
    end
  end
  if not outcomes[i] then
    -- Recorded before the push, because a script that fails after it is not rolled back.
    redis.call("SADD", KEYS[6], queue)
    if limited then
      redis.call("HSET", KEYS[3], name, fires + 1)
    end
    redis.call("HSET", KEYS[2], name, fire_time)
    local pushed = redis.pcall("RPUSH", key, payload)
    if type(pushed) == "table" then
      if last then
        redis.call("HSET", KEYS[2], name, last)
      else
        redis.call("HDEL", KEYS[2], name)
      end
      if limited then
        redis.call("HSET", KEYS[3], name, fires)
      end
      outcomes[i] = explain(pushed.err, "write", key)
    else
      -- The first is for people, the second a fallback for the fence: a wrong type must not stop the fire.
      redis.pcall("HSET", KEYS[4], name, ARGV[2])
      redis.pcall("HSET", KEYS[5], name, ARGV[3] .. " " .. fire_time)
      record(outcome, lateness)
      outcomes[i] = 1
    end
  end
  if type(outcomes[i]) == "string" then
    record("rejected", "-", outcomes[i])
  end
end
return outcomes
