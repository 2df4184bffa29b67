"""The scripts of `RedisStore`, in Lua that the server runs: one for each thing that the store does.

What a store keeps, under its prefix:

- `<key>`, a hash: a record. The fields are those of `Record`; times are in microseconds since the epoch. One with a
  `target` is the note that the record has moved there, with the time of that as `issued`.
- `subject:<subject>`, a sorted set: the keys of a subject's records, scored by when they expire.
- `revoked:<subject>`, a text: when the sessions of a subject were ended.

Every key expires by itself, for cleanliness only: what counts is the comparison of `expires_at` with the time.

KEYS has the prefix, which tells a cluster the slot: which keys a record's subject means, only the record knows. ARGV
has the time (empty for the server's) and the arguments: a number, or empty for none; a text that may be none is empty,
or begins with `+`. What is none at the end may be left out. The answer is one text. A script begins with what it needs,
and no more: the server makes each function anew for each run.

A call that a server refuses is refused at its first change, if that may need memory: those that keep something begin
with it. What fails later leaves a key in a subject's list at most, which is found out when the list is read.

Numbers in Lua are doubles. Times up to the year 2255 fit to the microsecond, and the end of a record that lives longer
(the last one is the year 9999) to some 30 of them. Versions do not fit, and stay text.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha1
from typing import Final, NamedTuple

from attrs import field, frozen

from typed_sessions.stores.base import MOVES_KEPT, REVOCATIONS_KEPT
from typed_sessions.stores.moments import SET_BACK

__all__ = [
    "CREATE",
    "DELETE",
    "DELETE_SUBJECT",
    "IDS_OF",
    "LOAD",
    "NOW",
    "TOUCH",
    "UPDATE",
    "Call",
    "Script",
    "packed_words",
]


@frozen(eq=False)
class Script:
    """What the server runs."""

    text: str = field(repr=False)
    source: bytes = field(init=False, repr=False)
    digest: bytes = field(init=False)
    """Under which a server remembers it."""
    heads: dict[bytes, tuple[bytes, bytes]] = field(init=False, factory=dict[bytes, "tuple[bytes, bytes]"], repr=False)
    """What commands begin with, by the prefix of a store."""

    @source.default
    def _source(self) -> bytes:
        return self.text.encode()

    @digest.default
    def _digest(self) -> bytes:
        return sha1(self.source, usedforsecurity=False).hexdigest().encode()

    def heads_with(self, prefix: bytes) -> tuple[bytes, bytes]:
        """Return what commands begin with that have a server run it, one which knows it, and one which does not."""
        heads = self.heads.get(prefix)
        if heads is None:
            known, unknown = (b"EVALSHA", self.digest, b"1", prefix), (b"EVAL", self.source, b"1", prefix)
            heads = self.heads[prefix] = packed_words(known), packed_words(unknown)
        return heads


def packed_words(words: Iterable[bytes]) -> bytes:
    """Return words of a command as they go to the server (RESP)."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


class Call(NamedTuple):
    """A script, and what it takes beside the prefix: the time, and its arguments."""

    script: Script
    arguments: tuple[bytes, ...]

    def command(self, prefix: bytes, *, is_known: bool) -> tuple[str | bytes | int, ...]:
        """Return the command that has the server run it, as redis-py takes it.

        Args:
            prefix: of the store's keys.
            is_known: whether the server has seen the script before.
        """
        if is_known:
            return ("EVALSHA", self.script.digest, 1, prefix, *self.arguments)
        return ("EVAL", self.script.source, 1, prefix, *self.arguments)

    def packed(self, prefix: bytes, *, is_known: bool) -> bytes:
        """Return the same as it goes to the server (RESP)."""
        known, unknown = self.script.heads_with(prefix)
        arguments = self.arguments
        return b"*%d\r\n%b%b" % (4 + len(arguments), known if is_known else unknown, packed_words(arguments))

    @property
    def size(self) -> int:
        """About how many bytes it has."""
        return sum(map(len, self.arguments))


# Another clock than the server's may be slower: by the server's a key then stays a day longer.
_TIME: Final = """
local prefix, seen, more = KEYS[1], ARGV[1], 86400000
local now = tonumber(seen)
if not now then
  local time = redis.call('TIME')
  now, more = time[1] * 1000000 + time[2], 0
  seen = string.format('%.0f', now)
end
"""

_GIVEN: Final = """
local function given(text)
  if text and text ~= '' then return string.sub(text, 2) end
end
"""

_ROW: Final = """
local function row(key)
  return redis.call('HMGET', prefix .. key,
    'payload', 'version', 'created', 'last_seen', 'expires_at', 'subject', 'issued', 'device', 'target')
end

local function is_live(row)
  return row[5] and tonumber(row[5]) > now and not row[9]
end
"""

_FOUND: Final = """
local function found(answer, row)
  local payload, subject, device = row[1], row[6] or '', row[8] or ''
  return table.concat({answer, row[2], #payload, row[6] and #subject or '-', row[8] and #device or '-',
    seen, row[3], row[4], row[5], row[7]}, ' ') .. '\\n' .. payload .. subject .. device
end
"""

_WRITTEN: Final = """
local function written(created, last_seen, expires_at, issued)
  return table.concat({'written', seen, created, last_seen, expires_at, issued}, ' ')
end
"""

_LIST: Final = """
local function list(key, subject)
  local index = prefix .. 'subject:' .. subject
  redis.call('ZADD', index, expires_at, key)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', seen)
  if redis.call('PTTL', index) < tonumber(ttl) then redis.call('PEXPIRE', index, ttl) end
end
"""

_UNLIST: Final = """
local function unlist(key, subject)
  redis.call('ZREM', prefix .. 'subject:' .. subject, key)
end
"""

_PUT: Final = """
local function put(key, before, created, issued, subject, device)
  local name = prefix .. key
  if subject then list(key, subject) end
  redis.call('HSET', name, 'payload', ARGV[5], 'version', ARGV[3], 'last_seen', seen, 'expires_at', expires_at)
  if created ~= before[3] or issued ~= before[7] then
    redis.call('HSET', name, 'created', created, 'issued', issued)
  end
  if subject and subject ~= before[6] then redis.call('HSET', name, 'subject', subject) end
  if device and device ~= before[8] then redis.call('HSET', name, 'device', device) end
  if before[6] and not subject then redis.call('HDEL', name, 'subject') end
  if before[8] and not device then redis.call('HDEL', name, 'device') end
  if before[9] then redis.call('HDEL', name, 'target') end
  redis.call('PEXPIRE', name, ttl)
end
"""

# A revocation that is ahead of the clock was made before the clock was set back: see `stores.moments`.
_ENDED: Final = f"""
local KEPT = {REVOCATIONS_KEPT.total_seconds() * 1_000_000:.0f}

local function is_ahead(ended)
  return ended - now > {SET_BACK.total_seconds() * 1_000_000:.0f}
end
"""

_REVOKED: Final = """
local function revoked(subject, as_of)
  if not as_of or as_of < now - KEPT then return true end
  local ended = tonumber(redis.call('GET', prefix .. 'revoked:' .. subject) or nil)
  if not ended then return false end
  if is_ahead(ended) then return as_of > now end
  return as_of < ended
end
"""


def _left(ends: str) -> str:
    """Return how long a key is kept that ends at a time."""
    return f"string.format('%.0f', math.ceil(({ends} - now) / 1000) + more)"


def _expiry(created: str, idle: str, absolute: str) -> str:
    """Return the lines that find out when a record ends."""
    return f"""
local ends, absolute = math.min(now + {idle}, 253370764800000000), tonumber({absolute})
if absolute then ends = math.min(ends, {created} + absolute) end
local expires_at, ttl = string.format('%.0f', ends), {_left("ends")}
"""


# A driver that repeats a call whose answer was lost finds its own version there: the answer is the one that was lost.
CREATE: Final = Script(
    _TIME
    + _GIVEN
    + _ROW
    + _WRITTEN
    + """
local key, subject = ARGV[2], given(ARGV[9])
local before = row(key)
if is_live(before) then
  if before[2] == ARGV[3] then return written(before[3], before[4], before[5], before[7]) end
  return 'exists'
end
"""
    + _ENDED
    + _REVOKED
    + """
if subject and revoked(subject, tonumber(ARGV[8])) then return 'revoked' end
"""
    + _expiry("now", "ARGV[6]", "ARGV[7]")
    + _LIST
    + _PUT
    + """
put(key, before, seen, seen, subject, given(ARGV[10]))
return written(seen, seen, expires_at, seen)
"""
)

LOAD: Final = Script(
    _TIME
    + _ROW
    + _FOUND
    + """
local present = row(ARGV[2])
if is_live(present) then return found('present', present) end
if present[9] and tonumber(present[5]) > now then
  return table.concat({'moved', seen, present[7], present[9]}, ' ')
end
return 'gone'
"""
)

UPDATE: Final = Script(
    _TIME
    + _GIVEN
    + _ROW
    + _WRITTEN
    + """
local key, subject = ARGV[2], given(ARGV[9])
local target = given(ARGV[11]) or key
local before = row(key)
local there, moves = before, target ~= key
if moves then there = row(target) end
local is_taken = moves and is_live(there)
local done = is_taken and there or before
if is_live(done) and done[2] == ARGV[3] then return written(done[3], done[4], done[5], done[7]) end
if not is_live(before) then return 'gone' end
if before[2] ~= ARGV[4] then
"""
    + _FOUND
    + """
  return found('conflict', before)
end
if subject and subject ~= before[6] then
"""
    + _ENDED
    + _REVOKED
    + """
  if revoked(subject, tonumber(ARGV[8])) then return 'revoked' end
end
if is_taken then return 'taken' end
local created, issued = before[3], before[7]
if ARGV[12] then created = seen end
if moves then issued = seen end
"""
    + _expiry("created", "ARGV[6]", "ARGV[7]")
    + _LIST
    + _PUT
    + f"""
put(target, there, created, issued, subject, given(ARGV[10]))
if moves then
  local moved_until, name = now + {MOVES_KEPT.total_seconds() * 1_000_000:.0f}, prefix .. key
  redis.call('DEL', name)
  redis.call('HSET', name, 'target', target, 'issued', seen, 'expires_at', string.format('%.0f', moved_until))
  redis.call('PEXPIRE', name, {_left("moved_until")})
end
if before[6] and (moves or subject ~= before[6]) then redis.call('ZREM', prefix .. 'subject:' .. before[6], key) end
return written(created, seen, expires_at, issued)
"""
)

TOUCH: Final = Script(
    _TIME
    + _ROW
    + _FOUND
    + """
local key = ARGV[2]
local present = row(key)
if not is_live(present) then return 'gone' end
"""
    + _expiry("present[3]", "ARGV[3]", "ARGV[4]")
    + _LIST
    + """
present[4], present[5] = seen, expires_at
if present[6] then list(key, present[6]) end
redis.call('HSET', prefix .. key, 'last_seen', seen, 'expires_at', expires_at)
redis.call('PEXPIRE', prefix .. key, ttl)
return found('present', present)
"""
)

DELETE: Final = Script(
    _TIME
    + _ROW
    + """
local key, version = ARGV[2], ARGV[3]
local present = row(key)
if not is_live(present) or (version and present[2] ~= version) then return 'gone' end
redis.call('DEL', prefix .. key)
if present[6] then redis.call('ZREM', prefix .. 'subject:' .. present[6], key) end
return 'present'
"""
)

IDS_OF: Final = Script(
    _TIME
    + _UNLIST
    + """
local subject = ARGV[2]
local index, answer = prefix .. 'subject:' .. subject, {}
redis.call('ZREMRANGEBYSCORE', index, '-inf', seen)
for _, key in ipairs(redis.call('ZRANGE', index, 0, -1)) do
  local record = redis.call('HMGET', prefix .. key, 'created', 'last_seen', 'expires_at', 'subject', 'device')
  if record[4] == subject and tonumber(record[3]) > now then
    local device = record[5] or nil
    answer[#answer + 1] = table.concat({key, record[1], record[2], record[3], device and #device or '-'}, ' ') ..
      '\\n' .. (device or '')
  else
    unlist(key, subject)
  end
end
return table.concat(answer)
"""
)

# A full server refuses a script that begins with what may need memory, and lets one go on that has begun otherwise: the
# sessions of a subject can be ended all the same. By the server's clock two scripts can have the same time, and a
# revocation counts as the later one, so that who has loaded a record before it is older than that.
DELETE_SUBJECT: Final = Script(
    _TIME
    + _GIVEN
    + _UNLIST
    + _ENDED
    + f"""
local subject, spare = ARGV[2], given(ARGV[3])
local index, mark = prefix .. 'subject:' .. subject, prefix .. 'revoked:' .. subject
redis.call('ZREMRANGEBYSCORE', index, '-inf', seen)
for _, key in ipairs(redis.call('ZRANGE', index, 0, -1)) do
  if key ~= spare then
    if redis.call('HGET', prefix .. key, 'subject') == subject then redis.call('DEL', prefix .. key) end
    unlist(key, subject)
  end
end
local former, time = tonumber(redis.call('GET', mark) or 0), more == 0 and now + 1 or now
local ended = is_ahead(former) and time or math.max(time, former)
redis.call('SET', mark, string.format('%.0f', ended), 'PX', {_left("(ended + KEPT)")})
return string.format('%.0f', ended)
"""
)

NOW: Final = Script(_TIME + "return seen\n")
