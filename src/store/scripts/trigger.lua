-- Enqueues the job of an entry now, because a person or a program asked for it, and records it in the entry's history.
-- No lease is needed, and the fence stays as it is.
--
-- KEYS[1]  queues  set   names of all queues
--
-- In addition it writes the queue and the list `history:NAME` (history.lua). They are not in KEYS, because Redis rejects
-- a whole script if its user may not use one of KEYS.
--
-- ARGV[1]  key of the queue
-- ARGV[2]  name of the queue
-- ARGV[3]  payload
-- ARGV[4]  key of the history
-- ARGV[5]  maximum number of records in a history
-- ARGV[6]  now, Unix milliseconds
-- ARGV[7]  fire time, Unix seconds
--
-- Returns  1               enqueued
--          Redis' error    nothing was done, for example because the queue's key has another type

-- The name comes first, because a script that fails after a push is not rolled back.
redis.call("SADD", KEYS[1], ARGV[2])
local pushed = redis.pcall("RPUSH", ARGV[1], ARGV[3])
if type(pushed) == "table" then
  return pushed
end
note(ARGV[4], tonumber(ARGV[5]), ARGV[6], "triggered", ARGV[7], ARGV[7], "1", "0")
return 1
