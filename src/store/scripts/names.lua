--
-- KEYS[1]  entries  hash  the JSON of each entry, by name
--
-- ARGV[1]  where the page begins: 0, or the cursor that the previous page returned
-- ARGV[2]  number of names after which the page is full
-- ARGV[3]  number of bytes of JSON after which the page is full: other clients wait while the script makes digests
--
-- Returns  flat  the cursor of the next page, 0 if there is none; and for each entry: its name, and the SHA-1 of its
--                JSON in hexadecimal digits. A name may occur twice

-- Number of entries to read between two checks whether the page is full.
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
