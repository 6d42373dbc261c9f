-- A part of other scripts: a process says that it is there. Nothing here fails: whatever these keys hold, and whatever
-- our user may not write, the lease is taken and renewed.
--
-- `schedulers:HOLDER` is a string with an end: what the process `hostname:pid` says of itself, JSON. `schedulers` is a
-- hash: hostname:pid -> when its string ends, by this server's clock, Unix seconds. Neither is among KEYS, for Redis
-- would refuse the whole script of a user that may not use one of them.
--
-- A heartbeat is four arguments: the two keys, what the process says of itself (empty: nothing), and for how long that
-- stays, milliseconds.

-- Removes the processes that are gone.
local function forget_the_gone(hash_key, seconds)
  local page = redis.pcall("HSCAN", hash_key, "0", "COUNT", "1000")[2] or {}
  for i = 1, #page, 2 do
    if (tonumber(page[i + 1]) or 0) < tonumber(seconds) then
      redis.pcall("HDEL", hash_key, page[i])
    end
  end
end

local function heartbeat(holder, seconds, string_key, hash_key, json, milliseconds)
  if json ~= "" then
    redis.pcall("SET", string_key, json, "PX", milliseconds)
    redis.pcall("HSET", hash_key, holder, math.floor(seconds + milliseconds / 1000))
    forget_the_gone(hash_key, seconds)
  end
end
