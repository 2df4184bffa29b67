"""The scripts of `RedisStore`: one for each thing that it does, each one atomic, in Lua that the server runs.

What a store keeps, under its prefix:

- `<key>`, a hash: a record. The fields are those of `Record`; times are in microseconds since the epoch.
- `subject:<subject>`, a sorted set: the keys of a subject's records, scored by when they expire.
- `revoked:<subject>`, a text: when the sessions of a subject were ended.

Every key expires by itself, for cleanliness only: what counts is the comparison of `expires_at` with the time. A script
is given the keys that the caller knows as KEYS, so that access lists apply and a cluster finds the slot; it makes their
names from the prefix all the same, since only the record knows whose it was.

A script that a server refuses is refused at its first change, if that may need memory: those that keep something begin
with it. What fails later leaves a key in a subject's list at most, which is found out when the list is read.

Numbers in Lua are doubles. Times up to the year 2255 fit to the microsecond, and the end of a record that lives longer
(the last one is the year 9999) to some 30 of them. Versions do not fit, and stay text.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final

from attrs import field, frozen

from typed_sessions.stores.base import REVOCATIONS_KEPT

__all__ = ["CREATE", "DELETE", "DELETE_SUBJECT", "IDS_OF", "LOAD", "NOW", "TOUCH", "UPDATE", "Script"]


@frozen
class Script:
    """A script and the name under which a server remembers it."""

    name: str
    text: str = field(repr=False)
    digest: str = field(repr=False)


_COMMON: Final = f"""
local prefix, given = ARGV[1], ARGV[2]
local KEPT = {REVOCATIONS_KEPT.total_seconds() * 1_000_000:.0f}
local LAST = 253370764800000000

-- Another clock than the server's may be slower, so a key stays for a day more by the server's.
local now, more = nil, 0
if given == '' then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
else
  now, more = tonumber(given), 86400000
end

local function text(number)
  return string.format('%.0f', number)
end

local function left(ends)
  return math.ceil((ends - now) / 1000) + more
end

local function ends(created, idle, absolute)
  local first = math.min(now + tonumber(idle), LAST)
  if absolute == '' then return first end
  return math.min(first, created + tonumber(absolute))
end

local function live(key)
  local record = redis.call('HMGET', prefix .. key,
    'payload', 'version', 'created', 'last_seen', 'expires_at', 'subject')
  if record[5] and tonumber(record[5]) > now then return record end
  return nil
end

local function listed(key, subject, expires_at)
  local index, ttl = prefix .. 'subject:' .. subject, left(expires_at)
  redis.call('ZADD', index, text(expires_at), key)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now))
  if redis.call('PTTL', index) < ttl then redis.call('PEXPIRE', index, text(ttl)) end
end

local function unlist(key, subject)
  redis.call('ZREM', prefix .. 'subject:' .. subject, key)
end

local function put(key, version, payload, created, expires_at, subject)
  if subject then listed(key, subject, expires_at) end
  redis.call('HSET', prefix .. key, 'payload', payload, 'version', version, 'created', text(created),
    'last_seen', text(now), 'expires_at', text(expires_at))
  if subject then
    redis.call('HSET', prefix .. key, 'subject', subject)
  else
    redis.call('HDEL', prefix .. key, 'subject')
  end
  redis.call('PEXPIRE', prefix .. key, text(left(expires_at)))
end

local function revoked(subject, as_of)
  if as_of == '' then return true end
  local known, ended = tonumber(as_of), redis.call('GET', prefix .. 'revoked:' .. subject)
  if known < now - KEPT then return true end
  return ended and known < tonumber(ended)
end

local function found(answer, record)
  return {{answer, text(now), unpack(record)}}
end

local function written(created, last_seen, expires_at)
  return {{'written', text(now), created, last_seen, expires_at}}
end
"""


def _script(name: str, body: str) -> Script:
    text = _COMMON + body
    return Script(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


NOW: Final = _script("now", "return text(now)")

LOAD: Final = _script(
    "load",
    """
local record = live(ARGV[3])
if record then return found('present', record) end
return {'gone'}
""",
)

# A driver that repeats a call whose answer was lost finds its own version there: the answer is the one that was lost.
CREATE: Final = _script(
    "create",
    """
local key, version, payload, idle, absolute, as_of, subject = unpack(ARGV, 3)
local record = live(key)
if record and record[2] == version then return written(record[3], record[4], record[5]) end
if record then return {'exists'} end
if subject and revoked(subject, as_of) then return {'revoked'} end
local expires_at = ends(now, idle, absolute)
put(key, version, payload, now, expires_at, subject)
return written(text(now), text(now), text(expires_at))
""",
)

UPDATE: Final = _script(
    "update",
    """
local key, version, payload, idle, absolute, as_of, former, target, restart, subject = unpack(ARGV, 3)
local record, moved = live(key), nil
if target ~= key then moved = live(target) end
local done = moved or record
if done and done[2] == version then return written(done[3], done[4], done[5]) end
if not record then return {'gone'} end
if record[2] ~= former then return found('conflict', record) end
if subject and subject ~= record[6] and revoked(subject, as_of) then return {'revoked'} end
if moved then return {'taken'} end
local created = restart == '1' and now or tonumber(record[3])
local expires_at = ends(created, idle, absolute)
put(target, version, payload, created, expires_at, subject)
if target ~= key then redis.call('DEL', prefix .. key) end
if record[6] and (target ~= key or subject ~= record[6]) then unlist(key, record[6]) end
return written(text(created), text(now), text(expires_at))
""",
)

TOUCH: Final = _script(
    "touch",
    """
local key, idle, absolute = unpack(ARGV, 3)
local record = live(key)
if not record then return {'gone'} end
local expires_at = ends(tonumber(record[3]), idle, absolute)
record[4], record[5] = text(now), text(expires_at)
if record[6] then listed(key, record[6], expires_at) end
redis.call('HSET', prefix .. key, 'last_seen', record[4], 'expires_at', record[5])
redis.call('PEXPIRE', prefix .. key, text(left(expires_at)))
return found('present', record)
""",
)

DELETE: Final = _script(
    "delete",
    """
local key = ARGV[3]
local record = live(key)
redis.call('DEL', prefix .. key)
if not record then return 0 end
if record[6] then unlist(key, record[6]) end
return 1
""",
)

IDS_OF: Final = _script(
    "ids_of",
    """
local subject = ARGV[3]
local index, answer = prefix .. 'subject:' .. subject, {}
redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now))
for _, key in ipairs(redis.call('ZRANGE', index, 0, -1)) do
  local record = redis.call('HMGET', prefix .. key, 'created', 'last_seen', 'expires_at', 'subject')
  if record[4] == subject and tonumber(record[3]) > now then
    answer[#answer + 1] = {key, record[1], record[2], record[3]}
  else
    unlist(key, subject)
  end
end
return answer
""",
)

# A full server refuses a script that begins with what may need memory, and lets one go on that has begun otherwise: the
# sessions of a subject can be ended all the same.
DELETE_SUBJECT: Final = _script(
    "delete_subject",
    """
local subject, spare = unpack(ARGV, 3)
local index, mark = prefix .. 'subject:' .. subject, prefix .. 'revoked:' .. subject
redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now))
for _, key in ipairs(redis.call('ZRANGE', index, 0, -1)) do
  if key ~= spare then
    if redis.call('HGET', prefix .. key, 'subject') == subject then redis.call('DEL', prefix .. key) end
    unlist(key, subject)
  end
end
local ended = math.max(now, tonumber(redis.call('GET', mark) or 0))
redis.call('SET', mark, text(ended), 'PX', text(left(ended + KEPT)))
return text(ended)
""",
)
