-- Does nothing. Redis runs it only for a user who may use all of KEYS.
--
-- KEYS  any keys
--
-- Returns  1

return 1
