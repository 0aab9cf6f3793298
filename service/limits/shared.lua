-- How each script of the shared store begins; KEYS[1] is the epoch.
-- Refuses another memory than the one that is expected (ARGV[1]), and to run late: after ARGV[2] (us) whoever called
-- has decided otherwise, and nobody would use what is counted.
-- Each answers numbers in one text, for a client reads one faster than many: first 1, or another where it says so,
-- or here -1 for another memory and -2 for late; then the moment (us).
-- Numbers are doubles here: microseconds since 1970 are exact for another two centuries.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function whole(number) return string.format('%.0f', number) end

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return '-1 ' .. whole(now) end
if now > tonumber(ARGV[2]) then return '-2 ' .. whole(now) end

-- A quantity's arrival time and the open demands it is made of, as in quantities.py, whose names these are.
local NUMBERS, MOST_OPEN, NEVER, FAR = 4, 64, -1, 2 ^ 52
local flow = {}

function flow.read(key, window)
  local held = redis.call('GET', key)
  local state = {last = now, tat = 0, start = 0, open = {}}
  if not held then return state end
  local numbers = {}
  for number in string.gmatch(held, '%-?%d+') do numbers[#numbers + 1] = tonumber(number) end
  state.last, state.tat, state.start = numbers[1], numbers[2], numbers[3]
  for i = 4, #numbers do state.open[i - 3] = numbers[i] end
  if state.last > now then
    -- The clock was set back: after two windows nothing from before can count any more.
    state.tat = math.min(state.tat, now + 2 * window)
    state.start, state.open, state.mended = state.tat, {}, true
  end
  return state
end

function flow.write(key, state)
  if state.tat <= now then return redis.call('DEL', key) end
  local words = {whole(now), whole(state.tat), whole(state.start)}
  for i, number in ipairs(state.open) do words[i + 3] = whole(number) end
  redis.call('SET', key, table.concat(words, ':'), 'PX', whole(math.ceil((state.tat - now) / 1000) + 1))
end

function flow.run(state, last, total, latest)
  if last == 0 then
    state.start = math.max(state.start + total, latest)
    return
  end
  local open = state.open
  open[last] = math.min(FAR, math.max(open[last] + total, latest))
  open[last - 1] = math.min(FAR, open[last - 1] + total)
end

function flow.close(state, place, charge)
  local at, total, latest = state.open[place + 1], state.open[place + 3], state.open[place + 4]
  for _ = 1, NUMBERS do table.remove(state.open, place + 1) end
  flow.run(state, place, charge, at + charge)
  flow.run(state, place, total, latest)
end

function flow.take(state, charge, window)
  local open = state.open
  if state.tat <= now then
    open = {}
    state.open, state.start = open, state.tat
  end
  while #open > 0 and (open[1] <= now - window or #open >= MOST_OPEN * NUMBERS) do flow.close(state, 0, open[2]) end
  for _, number in ipairs({now, charge, 0, NEVER}) do open[#open + 1] = number end
  state.tat = math.max(state.tat, now) + charge
end

-- What nobody will give back: it becomes a part of the run at the end.
function flow.add(state, charge)
  if state.tat <= now then state.open, state.start = {}, state.tat end
  flow.run(state, #state.open, charge, now + charge)
  state.tat = math.max(state.tat, now) + charge
end

function flow.settle(state, at, charge, real)
  local open = state.open
  for place = 0, #open - 1, NUMBERS do
    if open[place + 1] == at and open[place + 2] == charge then
      flow.close(state, place, real)
      state.tat = state.start
      for i = 1, #open, NUMBERS do
        state.tat = math.max(math.max(state.tat, open[i]) + open[i + 1] + open[i + 2], open[i + 3])
      end
      return
    end
  end
  if real > charge then flow.add(state, real - charge) end
end
