-- Checks which lists the Redis user may write.
--
-- KEYS[1]  lock  string  not used; it tells a cluster which node has the lists
--
-- ARGV  the keys of the lists. They are not among KEYS, because Redis refuses a whole script if its user may not use
--       one of KEYS
--
-- Returns for each list  1  we may write it, and it is a list or does not exist
--                        0  we may not write it, or it has another type
--
-- Changes nothing. It uses a command that writes, because Redis checks the right to write only for those.

local reply = {}
for i, key in ipairs(ARGV) do
  local tried = redis.pcall("LTRIM", key, 0, -1)
  local err = tried.err or ""
  local refused = err:find("WRONGTYPE", 1, true)
    or err:find("NOPERM", 1, true)
    or err:find("user executing the script", 1, true)
  if tried.err and not refused then
    return tried
  end
  reply[i] = refused and 0 or 1
end
return reply
