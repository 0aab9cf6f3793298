-- Counts what one process admitted that this store does not know of, by its age.
-- Refuses to lower anything: what is counted twice makes it stricter, for a window.
--
-- KEYS[2…]: one for each key of the process. ARGV[3…], three for each: its kind, its window (us), and as JSON
--   count: ages (us)      quantity: [time until nothing is used (us)]      lease: lease, time left (us), lease, …
-- Answers as shared.lua says.

local add = {}

function add.count(key, window, ages)
  local times = {}
  for _, at in ipairs(redis.call('LRANGE', key, 0, -1)) do times[#times + 1] = math.min(tonumber(at), now) end
  for _, age in ipairs(ages) do times[#times + 1] = now - age end
  table.sort(times)
  -- Whole or not at all: of writes to a full memory Redis refuses the first alone.
  redis.call('RPUSH', key, '0')
  redis.call('DEL', key)
  local newest
  for _, at in ipairs(times) do
    if at > now - window then newest = at; redis.call('RPUSH', key, whole(at)) end
  end
  if newest then redis.call('PEXPIRE', key, whole(math.ceil((newest + window - now) / 1000) + 1)) end
end

function add.quantity(key, window, ahead)
  local state = flow.read(key, window)
  flow.add(state, ahead[1])
  flow.write(key, state)
end

function add.lease(key, window, leases)
  for i = 1, #leases, 2 do redis.call('ZADD', key, whole(now + math.min(leases[i + 1], window)), leases[i]) end
  redis.call('PEXPIRE', key, whole(math.ceil(window / 1000) + 1))
end

for i = 2, #KEYS do
  local p = 3 * i - 3
  add[ARGV[p]](KEYS[i], tonumber(ARGV[p + 1]), cjson.decode(ARGV[p + 2]))
end
return '1 ' .. whole(now)
