-- Gives back what an admitted demand holds: its leases, and of its quantities what was not spent.
-- Refuses to give back what others were judged by: a quantity becomes what it would be by what was spent.
--
-- KEYS[2…]: one for each part. ARGV[3…]: the moment of the decision (us); the lease; then four for each part, its kind and
--   quantity: what it was charged (us), what it is for what was spent (us), window (us)
-- Answers as shared.lua says.

local at, lease = tonumber(ARGV[3]), ARGV[4]
for i = 2, #KEYS do
  local p = 4 * i - 3
  if ARGV[p] == 'lease' then redis.call('ZREM', KEYS[i], lease) end
  if ARGV[p] == 'quantity' then
    local state = flow.read(KEYS[i], tonumber(ARGV[p + 3]))
    flow.settle(state, at, tonumber(ARGV[p + 1]), tonumber(ARGV[p + 2]))
    flow.write(KEYS[i], state)
  end
end
return '1 ' .. whole(now)
