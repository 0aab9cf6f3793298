-- Says which life of its memory this Redis is in, and begins a new one where it kept none.
-- Refuses to call a life one that is not: a server that was started anew may have read an old copy of the epoch.
--
-- KEYS: the epoch, the beat. ARGV: the server's run id, a new id.
-- Answers {epoch, now (us), since when it is (us)}. The epoch is "id:run id:moment (us)".

local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local epoch = redis.call('GET', KEYS[1])
if not epoch or string.match(epoch, '^[^:]*:([^:]*):') ~= ARGV[1] then
  epoch = ARGV[2] .. ':' .. ARGV[1] .. ':' .. now
  redis.call('SET', KEYS[1], epoch)
end
-- A store that cannot be written to is away, whatever it can still tell.
redis.call('SET', KEYS[2], now, 'PX', 60000)
return {epoch, now, string.match(epoch, '(%d+)$')}
