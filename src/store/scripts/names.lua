-- Reads a page of the names of entries, each with a digest of its JSON. Changes nothing.
--
-- KEYS[1]  entries  hash  the JSON of each entry, by name
--
-- ARGV[1]  where the page begins: 0, or what the last page says
-- ARGV[2]  how many names are enough
-- ARGV[3]  how many bytes of JSON are enough: other clients wait while their digests are made
--
-- Returns  flat  where the next page begins, 0 if there is none; and for each entry: its name, and the SHA-1 of
--                its JSON in hexadecimal digits. A name may be there twice

-- How many entries are looked at between two looks at what is enough.
local STEP = "10"

local names_left, bytes_left = tonumber(ARGV[2]), tonumber(ARGV[3])
local reply, cursor = { ARGV[1] }, ARGV[1]
repeat
  local page = redis.call("HSCAN", KEYS[1], cursor, "COUNT", STEP)
  local entries = page[2]
  cursor = page[1]
  for i = 1, #entries, 2 do
    reply[#reply + 1], reply[#reply + 2] = entries[i], redis.sha1hex(entries[i + 1])
    bytes_left = bytes_left - #entries[i + 1]
  end
  names_left = names_left - #entries / 2
until cursor == "0" or names_left <= 0 or bytes_left <= 0
reply[1] = cursor
return reply
