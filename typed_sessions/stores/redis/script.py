"""The script of `RedisStore`, in Lua that the server runs: all that the store does, for as many calls as it is given.

What a store keeps, under its prefix:

- `<key>`, a hash: a record. The fields are those of `Record`; times are in microseconds since the epoch. One with a
  `target` is the note that the record has moved there, with the time of that as `issued`.
- `subject:<subject>`, a sorted set: the keys of a subject's records, scored by when they expire.
- `revoked:<subject>`, a text: when the sessions of a subject were ended.

Every key expires by itself, for cleanliness only: what counts is the comparison of `expires_at` with the time.

KEYS has the prefix, which tells a cluster the slot: which keys a record's subject means, only the record knows. ARGV
has the calls in MessagePack, and all bytes that belong to them. A call is its name, the time (false for the server's)
and its arguments: false for None, and a list with a length for bytes, which the servers' MessagePack does not know. The
answer is one text for all calls: a line with the length of each one's, and then each one's, after `+`, or an error
after `-`.

The calls of one run never have the same time, so that what was before a revocation can be told from what was after. A
call that a server refuses is refused at its first change, if that may need memory: those that keep something begin with
it. What fails later leaves a key in a subject's list at most, which is found out when the list is read.

Numbers in Lua are doubles. Times up to the year 2255 fit to the microsecond, and the end of a record that lives longer
(the last one is the year 9999) to some 30 of them. Versions do not fit, and stay text.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final

from typed_sessions.stores.base import MOVES_KEPT, REVOCATIONS_KEPT
from typed_sessions.stores.moments import SET_BACK

__all__ = ["DIGEST", "SCRIPT"]

_COMMON: Final = f"""
local prefix = KEYS[1]
local KEPT = {REVOCATIONS_KEPT.total_seconds() * 1_000_000:.0f}
local MOVES_KEPT = {MOVES_KEPT.total_seconds() * 1_000_000:.0f}
local SET_BACK = {SET_BACK.total_seconds() * 1_000_000:.0f}
local LAST = 253370764800000000

-- Another clock than the server's may be slower: by the server's a key then stays a day longer.
local now, more = 0, 0

local function read_clock(given)
  if given then
    now, more = given, 86400000
  else
    local time = redis.call('TIME')
    now = math.max(now + 1, time[1] * 1000000 + time[2])
  end
end

local function text(number)
  return string.format('%.0f', number)
end

local function left(ends)
  return math.ceil((ends - now) / 1000) + more
end

local function ends(created, idle, absolute)
  local first = math.min(now + idle, LAST)
  if absolute then return math.min(first, created + absolute) end
  return first
end

local function row(key)
  local record = redis.call('HMGET', prefix .. key,
    'payload', 'version', 'created', 'last_seen', 'expires_at', 'subject', 'issued', 'device', 'target')
  if record[5] and tonumber(record[5]) > now then return record end
  return nil
end

local function live(key)
  local record = row(key)
  if record and not record[9] then return record end
  return nil
end

local function list(key, subject, expires_at)
  local index, ttl = prefix .. 'subject:' .. subject, left(expires_at)
  redis.call('ZADD', index, text(expires_at), key)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now))
  if redis.call('PTTL', index) < ttl then redis.call('PEXPIRE', index, text(ttl)) end
end

local function unlist(key, subject)
  redis.call('ZREM', prefix .. 'subject:' .. subject, key)
end

local function put(key, version, payload, created, expires_at, issued, subject, device)
  if subject then list(key, subject, expires_at) end
  redis.call('HSET', prefix .. key, 'payload', payload, 'version', version, 'created', text(created),
    'last_seen', text(now), 'expires_at', text(expires_at), 'issued', text(issued))
  local gone = {{'target'}}
  if subject then redis.call('HSET', prefix .. key, 'subject', subject) else gone[2] = 'subject' end
  if device then redis.call('HSET', prefix .. key, 'device', device) else gone[#gone + 1] = 'device' end
  redis.call('HDEL', prefix .. key, unpack(gone))
  redis.call('PEXPIRE', prefix .. key, text(left(expires_at)))
end

local function note(key, target)
  redis.call('DEL', prefix .. key)
  redis.call('HSET', prefix .. key, 'target', target, 'issued', text(now), 'expires_at', text(now + MOVES_KEPT))
  redis.call('PEXPIRE', prefix .. key, text(left(now + MOVES_KEPT)))
end

-- A revocation that is ahead of the clock was made before the clock was set back: see `stores.moments`.
local function is_ahead(ended)
  return ended - now > SET_BACK
end

local function revoked(subject, as_of)
  if not as_of or as_of < now - KEPT then return true end
  local ended = tonumber(redis.call('GET', prefix .. 'revoked:' .. subject) or false)
  if not ended then return false end
  if is_ahead(ended) then return as_of > now end
  return as_of < ended
end

local function found(answer, record)
  local payload, subject, device = record[1], record[6], record[8]
  return table.concat({{answer, text(now), record[2], record[3], record[4], record[5], record[7], #payload,
    subject and #subject or '-', device and #device or '-'}}, ' ') .. '\\n' .. payload .. (subject or '') ..
    (device or '')
end

local function written(created, last_seen, expires_at, issued)
  return table.concat({{'written', text(now), created, last_seen, expires_at, issued}}, ' ')
end

local calls = {{}}
"""

# A driver that repeats a call whose answer was lost finds its own version there: the answer is the one that was lost.
_CREATE: Final = """
function calls.create(key, version, payload, idle, absolute, as_of, subject, device)
  local record = live(key)
  if record and record[2] == version then return written(record[3], record[4], record[5], record[7]) end
  if record then return 'exists' end
  if subject and revoked(subject, as_of) then return 'revoked' end
  local expires_at = ends(now, idle, absolute)
  put(key, version, payload, now, expires_at, now, subject, device)
  return written(text(now), text(now), text(expires_at), text(now))
end
"""

_LOAD: Final = """
function calls.load(key)
  local record = row(key)
  if record and record[9] then return table.concat({'moved', text(now), record[7], record[9]}, ' ') end
  return record and found('present', record) or 'gone'
end
"""

_UPDATE: Final = """
function calls.update(key, version, payload, idle, absolute, as_of, subject, device, former, target, restart)
  local record, moved = live(key), nil
  if target ~= key then moved = live(target) end
  local done = moved or record
  if done and done[2] == version then return written(done[3], done[4], done[5], done[7]) end
  if not record then return 'gone' end
  if record[2] ~= former then return found('conflict', record) end
  if subject and subject ~= record[6] and revoked(subject, as_of) then return 'revoked' end
  if moved then return 'taken' end
  local created = restart and now or tonumber(record[3])
  local issued = target == key and tonumber(record[7]) or now
  local expires_at = ends(created, idle, absolute)
  put(target, version, payload, created, expires_at, issued, subject, device)
  if target ~= key then note(key, target) end
  if record[6] and (target ~= key or subject ~= record[6]) then unlist(key, record[6]) end
  return written(text(created), text(now), text(expires_at), text(issued))
end
"""

_TOUCH: Final = """
function calls.touch(key, idle, absolute)
  local record = live(key)
  if not record then return 'gone' end
  local expires_at = ends(tonumber(record[3]), idle, absolute)
  record[4], record[5] = text(now), text(expires_at)
  if record[6] then list(key, record[6], expires_at) end
  redis.call('HSET', prefix .. key, 'last_seen', record[4], 'expires_at', record[5])
  redis.call('PEXPIRE', prefix .. key, text(left(expires_at)))
  return found('present', record)
end
"""

_DELETE: Final = """
function calls.delete(key, version)
  local record = live(key)
  if not record or (version and record[2] ~= version) then return 'gone' end
  redis.call('DEL', prefix .. key)
  if record[6] then unlist(key, record[6]) end
  return 'present'
end
"""

_IDS_OF: Final = """
function calls.ids_of(subject)
  local index, answer = prefix .. 'subject:' .. subject, {}
  redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now))
  for _, key in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    local record = redis.call('HMGET', prefix .. key, 'created', 'last_seen', 'expires_at', 'subject', 'device')
    if record[4] == subject and tonumber(record[3]) > now then
      local device = record[5]
      answer[#answer + 1] = table.concat({key, record[1], record[2], record[3], device and #device or '-'}, ' ') ..
        '\\n' .. (device or '')
    else
      unlist(key, subject)
    end
  end
  return table.concat(answer)
end
"""

# A full server refuses a script that begins with what may need memory, and lets one go on that has begun otherwise: the
# sessions of a subject can be ended all the same.
_DELETE_SUBJECT: Final = """
function calls.delete_subject(subject, spare)
  local index, mark = prefix .. 'subject:' .. subject, prefix .. 'revoked:' .. subject
  redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now))
  for _, key in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    if key ~= spare then
      if redis.call('HGET', prefix .. key, 'subject') == subject then redis.call('DEL', prefix .. key) end
      unlist(key, subject)
    end
  end
  local former = tonumber(redis.call('GET', mark) or 0)
  local ended = is_ahead(former) and now or math.max(now, former)
  redis.call('SET', mark, text(ended), 'PX', text(left(ended + KEPT)))
  return text(ended)
end
"""

_RUN: Final = """
function calls.now()
  return text(now)
end

local bytes, taken = ARGV[2], 0

local function with_bytes(call)
  for at, part in ipairs(call) do
    if type(part) == 'table' then
      call[at] = string.sub(bytes, taken + 1, taken + part[1])
      taken = taken + part[1]
    end
  end
  return call
end

local lengths, answers = {}, {}
for at, call in ipairs(cmsgpack.unpack(ARGV[1])) do
  read_clock(call[2])
  local well, answer = pcall(calls[call[1]], unpack(with_bytes(call), 3))
  if well then
    answer = '+' .. answer
  else
    answer = '-' .. (type(answer) == 'table' and answer.err or tostring(answer))
  end
  lengths[at], answers[at] = #answer, answer
end
return table.concat(lengths, ' ') .. '\\n' .. table.concat(answers)
"""

SCRIPT: Final = _COMMON + _CREATE + _LOAD + _UPDATE + _TOUCH + _DELETE + _IDS_OF + _DELETE_SUBJECT + _RUN

DIGEST: Final = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
"""Under which a server remembers the script."""
