-- One exchange of a replica with the shared budget: it books what the replica reports, and leases it
-- tokens. It runs whole or not at all, and counts once however often the request comes. The comment of
-- the package derives the bound.
--
-- KEYS[1]  a hash:
--   balance  micro-tokens in the bucket        out    micro-tokens that replicas may hold unspent
--   at       this server's clock at the latest exchange, in microseconds
--   sweep    when records are next swept       r:<id> a replica's record: "sequence granted until weight"
--   born     when the hash was made            lost   there if another had been there less than a lease before
-- ARGV     id, sequence, stamp (what this clock showed when the request was made, 0 for a first one),
--          burst (micro-tokens), ratio (micro-tokens a call), floor (micro-tokens a second),
--          lease (microseconds), life of the key (milliseconds), deposits, returned, kept, wanted, reserve
--          (tokens that this replica leaves to others), leaving (1: the replica's last request)
-- Returns  the tokens granted, those left in the bucket, and this clock.
local key, id = KEYS[1], 'r:' .. ARGV[1]
local sequence, stamp = tonumber(ARGV[2]), tonumber(ARGV[3])
local burst, ratio, floor = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local lease, life = tonumber(ARGV[7]), ARGV[8]
local deposits, returned, kept = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local wanted, reserve, leaving = tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14] == '1'
local token = 1000000
local record = '^(%d+) (%d+) (%d+) (-?%d+)$'

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local known = redis.call('HMGET', key, 'balance', 'at', 'out', 'sweep', id, 'born', 'lost')
local balance, at = tonumber(known[1]), tonumber(known[2])
local out, sweep = tonumber(known[3]) or 0, tonumber(known[4]) or now
local born, lost = math.min(tonumber(known[6]) or now, now), known[7] -- this clock may have stepped back
if not balance or not at then -- a new budget is empty: losing the data must not grant a burst
  balance, at, out, born, lost = 0, now, 0, now, false
end

if known[5] then
  local seen, granted, _, weight = string.match(known[5], record)
  if sequence == tonumber(seen) then -- it was answered before, and the answer was lost
    return {tonumber(granted), math.floor(balance / token), now}
  elseif sequence < tonumber(seen) then -- a copy that was long on the way: nobody waits for an answer
    return {0, math.floor(balance / token), now}
  end
  out = out - weight
elseif sequence > 1 then -- what it reports may have been counted before its record was lost
  deposits, returned = 0, 0
  lost = lost or (now - born < lease and '1')
end
if lost and now - born < lease then -- tokens from before the loss must not live on by being granted anew
  returned = 0
end
if stamp > 0 and now - stamp > lease then -- what it gives back has expired on the way
  return {0, math.floor(balance / token), now}
end

-- A clock that steps back drips nothing, and one that steps forward no more than a lease.
local gap = math.min(math.max(now - at, 0), lease)
local most = burst + floor * lease / 1000000 - out - kept * token
balance = balance + floor * gap / 1000000 + ratio * deposits + returned * token
balance = math.max(math.min(balance, burst, most), 0)
local granted = math.max(math.min(wanted, math.floor(balance / token) - reserve), 0)
balance = balance - granted * token

-- What a user may lack the right to comes before the first write: a script that fails leaves what it wrote.
local due = now >= sweep or sweep - now > lease
local all = due and redis.call('HGETALL', key) or {}
redis.call('PEXPIRE', key, life)

if due then -- once in a lease, forget replicas whose tokens have expired
  sweep, out = now + lease, 0
end
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 2) == 'r:' and all[i] ~= id then
    local _, _, expires, weight = string.match(all[i + 1], record)
    if expires and tonumber(expires) > now then
      out = out + weight
    else
      redis.call('HDEL', key, all[i])
    end
  end
end
if leaving then
  redis.call('HDEL', key, id)
else
  local weight = (kept + granted) * token - ratio * deposits
  out = out + weight
  redis.call('HSET', key, id, string.format('%.0f %.0f %.0f %.0f', sequence, granted, now + lease, weight))
end

redis.call('HSET', key, 'balance', string.format('%.17g', balance), 'at', string.format('%.0f', now),
  'out', string.format('%.0f', out), 'sweep', string.format('%.0f', sweep), 'born', string.format('%.0f', born))
if lost then redis.call('HSET', key, 'lost', lost) end
if not known[1] then redis.call('PEXPIRE', key, life) end -- it was not there above
return {granted, math.floor(balance / token), now}
