-- The bucket of bucket.go, shared by all instances. Time is the server's.
--
-- KEYS[1] state (hash), KEYS[2] instances present (sorted set by time)
-- ARGV: 1 requests a minute  2 instances alive  3 this instance  4 priority (-1: only say that it is here)
--       5 slots wanted  6 "1": drain  7 "1": Zalo refused for the rate  8 instances count as present for (s)
--       9 slots to be had besides, if there are any  10 now in seconds, for tests; "" otherwise
local now = tonumber(ARGV[10])
if not now then
  local t = redis.call('TIME')
  now = tonumber(t[1]) + tonumber(t[2]) / 1000000
end
local p, n = tonumber(ARGV[4]), tonumber(ARGV[5])

redis.call('ZADD', KEYS[2], now, ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[8]))
redis.call('EXPIRE', KEYS[2], 60)
local present = redis.call('ZCARD', KEYS[2])
if p < 0 then return {0, 0, 0} end

local names = {'at', 'level', 'upkeep', 'learned', 'learned_at',
  'c0', 'c1', 'c2', 'c3', 'c4', 'w0', 'w1', 'w2', 'w3', 'w4'}
local values = redis.call('HMGET', KEYS[1], unpack(names))
local s = {}
for i, name in ipairs(names) do s[name] = tonumber(values[i]) or 0 end
if s.at == 0 then s.at = now end

-- What -32 taught is forgotten slowly.
local r = tonumber(ARGV[1])
if s.learned > 0 then
  local learned = s.learned + r / 100 * (now - s.learned_at) / 60
  if learned >= r then s.learned = 0 else r = learned end
end
if ARGV[7] == '1' then
  if s.learned == 0 or now - s.learned_at > 5 then
    s.learned = math.max(r * 0.9, tonumber(ARGV[1]) / 10)
    s.learned_at = now
  end
  s.level = 0
end
-- Instances that cannot reach this server use their own share of the rate.
r = math.floor(r * math.min(1, present / math.max(1, tonumber(ARGV[2]))))

local got, wait, held = 0, 1, 0
if r >= 1 then
  local burst = math.max(1, math.floor(r / 100))
  local refill = math.max(r - burst, 0.98) / 60.5
  local credit, credit1 = 0.05 * r / 60, math.max(1, 0.05 * burst)
  local upkeep1 = math.max(1, 0.2 * burst)
  local upkeep = math.max(0.2 * r - upkeep1, 0.04 * r) / 60.5
  if burst >= 20 then
    held = math.floor(burst / 2)
    burst = burst - held
  end

  local passed = math.max(0, now - s.at)
  local carry = 0
  if r >= 2 then carry = 0.5 end
  s.level = math.min(burst + carry, s.level + passed * refill)
  s.upkeep = math.min(upkeep1, s.upkeep + passed * upkeep)
  for q = 0, 4 do s['c' .. q] = math.min(credit1, s['c' .. q] + passed * credit) end
  if ARGV[6] == '1' then s.level, s.upkeep = 0, 0 end

  local level = math.floor(s.level)
  local free, mine = level, math.huge
  for q = 0, 4 do
    if q ~= p and s['w' .. q] > now then
      local c = math.floor(s['c' .. q])
      if q == 4 then c = math.min(c, math.floor(s.upkeep)) end
      if q < p then mine = math.floor(s['c' .. p]) end
      if q ~= 0 then free = free - math.min(level, c) end
    end
  end
  if mine ~= math.huge then free = level end
  if p == 4 then mine = math.min(mine, math.floor(s.upkeep)) end
  got = math.max(0, math.min(n + tonumber(ARGV[9]), free, mine))
  s.level = s.level - got
  if p ~= 0 then s['c' .. p] = math.max(0, s['c' .. p] - got) end
  if p == 4 then s.upkeep = s.upkeep - got end
  if got < n then
    wait = (1 - (s.level - math.floor(s.level))) / refill
    if s.level >= 1 then wait = math.max(1 / refill, 0.001) end
    if p == 4 and s.upkeep < 1 then wait = math.max(wait, (1 - s.upkeep) / upkeep) end
    wait = math.min(math.max(wait, 0.001), 1)
    s['w' .. p] = now + wait + 0.25
  else
    wait = 0
  end
end
s.at = math.max(s.at, now)

local out = {}
for _, name in ipairs(names) do
  out[#out + 1] = name
  out[#out + 1] = string.format('%.9f', s[name])
end
redis.call('HSET', KEYS[1], unpack(out))
redis.call('EXPIRE', KEYS[1], 86400)
return {got, math.ceil(wait * 1000000), math.floor(held / (2 * math.max(1, tonumber(ARGV[2]))))}
