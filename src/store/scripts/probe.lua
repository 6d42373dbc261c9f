-- Tells which lists our user may write.
--
-- KEYS[1]  lock  string  tells a cluster where the lists are
--
-- ARGV  the keys of the lists. Redis refuses a whole script if its user may not use one of KEYS
--
-- Returns for each list  1  we may write it, or there is nothing yet
--                        0  we may not, or it is of another type
--
-- Changes nothing: the command is one that writes, for Redis asks for the right to.

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
