-- Included in other scripts: publishes the status of a process, the heartbeat. Nothing here fails: the lease is
-- taken and renewed whatever these keys hold and even if the Redis user may not write them.
--
-- `schedulers:HOLDER` is a string with a TTL: the status of the process `hostname:pid`, JSON. `schedulers` is a
-- hash: hostname:pid -> when its string expires, by this server's clock, Unix seconds. Neither is among KEYS,
-- because Redis would refuse the whole script if its user may not use one of them.
--
-- A heartbeat is four arguments: the two keys, the status (empty: do nothing), and its TTL in milliseconds.

-- Removes processes whose strings have expired.
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
