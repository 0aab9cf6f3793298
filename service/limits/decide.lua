-- Decides over a whole demand in one step, by Redis's clock: all of it is counted, or nothing is.
-- Refuses to write before it has looked at all parts, but what mends them where the clock was set back.
--
-- KEYS[2…]: one for each part. ARGV[3…]: decide or peek; the lease; then four for each part, its kind and
--   count, lease: limit, window (us), milliseconds until the key may go
--   quantity:     charge (us), the burst's charge (us), window (us)
-- Answers as shared.lua says, 0 for not admitted; then three for each part:
--   count, lease: used, time until that falls (us), time until this part would be admitted (us)
--   quantity:     time until nothing is used (us), nothing, time until this part would be admitted (us)

local deciding = ARGV[3] == 'decide'
local lease = ARGV[4]

-- A log whose newest moment is yet to come was written before the clock was set back: what is of the future
-- happened now at the latest.
local function mend(key)
  local times = redis.call('LRANGE', key, 0, -1)
  redis.call('DEL', key)
  for _, at in ipairs(times) do redis.call('RPUSH', key, whole(math.min(tonumber(at), now))) end
end

-- How many in front no longer count: times ascend, so the border is found by halving.
local function expired(key, length, border)
  local low, high = 0, length
  while low < high do
    local middle = math.floor((low + high) / 2)
    if tonumber(redis.call('LINDEX', key, middle)) <= border then low = middle + 1 else high = middle end
  end
  return low
end

local look, count = {}, {}

function look.count(key, limit, window)
  local newest = redis.call('LINDEX', key, -1)
  if not newest then return {0, 0, 0, gone = 0} end
  if deciding and tonumber(newest) > now then mend(key) end
  local length, gone = redis.call('LLEN', key), 0
  if tonumber(redis.call('LINDEX', key, 0)) <= now - window then gone = expired(key, length, now - window) end
  local used, falls = length - gone, 0
  if used > 0 then falls = redis.call('LINDEX', key, -math.min(used, limit)) + window - now end
  return {used, falls, used >= limit and falls or 0, gone = gone}
end

function count.count(key, seen, limit, window, keep)
  -- The first write of all is one that Redis refuses when it is out of memory, before anything is changed.
  redis.call('RPUSH', key, whole(now))
  if seen.gone > 0 then redis.call('LTRIM', key, seen.gone, -1) end
  redis.call('PEXPIRE', key, whole(keep))
end

function look.quantity(key, charge, burst, window)
  local state = flow.read(key, window)
  if deciding and state.mended then flow.write(key, state) end
  local ahead = math.max(0, state.tat - now)
  return {ahead, 0, math.max(0, ahead + charge - burst), state = state}
end

function count.quantity(key, seen, charge, _, window)
  flow.take(seen.state, charge, window)
  flow.write(key, seen.state)
end

-- A lease that lasts for longer than two windows was given before the clock was set back.
local function shorten(key, window)
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
  if not last or tonumber(last) <= now + 2 * window then return end
  for _, held in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. whole(now + window), '+inf')) do
    redis.call('ZADD', key, whole(now + window), held)
  end
end

function look.lease(key, limit, window)
  if deciding then shorten(key, window) end
  local after = '(' .. whole(now)
  local used = redis.call('ZCOUNT', key, after, '+inf')
  if used == 0 then return {0, 0, 0, mine = false} end
  local first = redis.call('ZRANGEBYSCORE', key, after, '+inf', 'WITHSCORES', 'LIMIT', math.max(0, used - limit), 1)
  local mine = tonumber(redis.call('ZSCORE', key, lease) or 0) > now
  local falls = math.min(first[2] - now, 2 * window)
  return {used, falls, (used >= limit and not mine) and falls or 0, mine = mine}
end

function count.lease(key, seen, limit, window, keep)
  redis.call('ZADD', key, whole(now + window), lease)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now))
  redis.call('PEXPIRE', key, whole(keep))
  if seen.mine then seen[1] = seen[1] - 1 end
end

local seen, admitted = {}, true
for i = 2, #KEYS do
  local at = 4 * i - 3
  seen[i] = look[ARGV[at]](KEYS[i], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]))
  if seen[i][3] > 0 then admitted = false end
end
local answer = {admitted and '1' or '0', whole(now)}
for i = 2, #KEYS do
  local at = 4 * i - 3
  if deciding and admitted then
    count[ARGV[at]](KEYS[i], seen[i], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]))
  end
  for j = 1, 3 do answer[#answer + 1] = whole(seen[i][j]) end
end
return table.concat(answer, ' ')
