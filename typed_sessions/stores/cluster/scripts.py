"""What the servers run for `ClusterRedisStore`, in Lua: a script for each thing that it does, with all keys declared.

What a store keeps, under its prefix. Between braces is the place, which a cluster takes for the slot:

- `{place}:<key>`, a hash: a record. The fields are those of `Record`; times are in microseconds since the epoch. One
  with a `target` is the note that the record has moved there: `issued` is when, `created` and `version` are what the
  record had and has. One that is `pending` was staged by a move that nobody has settled yet: the field has the former
  key, and what the expiry is reckoned from; `note` has the note that was there before, if there was one.
- `{place}:subject:<subject>`, a sorted set: the keys of a subject's records, scored by when they expire, the pending
  ones, too. `!` is there as long as it is known when the sessions of the subject were ended, which is so long before.

Every key expires by itself, for cleanliness only: what counts is the comparison of `expires_at` with the time.

A move to another place is three scripts. STAGE writes the pending record. TAKE makes of the former one a note that
points to it, if that has the version that is expected: from then on the move has taken place. SETTLE makes the pending
record live, as of the time in the note. Whoever meets a pending record looks for the note, and settles what that points
to: it comes to the same, whoever does it, and when.

A script that needs the index of a subject that the caller does not know answers `whose`, and has done nothing. The
first change of each one is such as a full server refuses, unless it frees memory: see `redis.script`. None makes a key
vanish and uses it again: while the slot moves, Redis 7.0 takes it for one that is elsewhere, and breaks the script off.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final

from attrs import field, frozen

from typed_sessions.stores.base import MOVES_KEPT, REVOCATIONS_KEPT
from typed_sessions.stores.moments import SET_BACK
from typed_sessions.stores.redis.script import packed_words

__all__ = [
    "ABORT",
    "CREATE",
    "DELETE",
    "LIST",
    "LOAD",
    "MOVE",
    "NOW",
    "REVOKE",
    "SETTLE",
    "SHOW",
    "STAGE",
    "TAKE",
    "TOUCH",
    "UPDATE",
    "Script",
]

STAGED_SECONDS: Final = 60
"""How long a move may take: a record that was staged longer ago is gone."""


@frozen(eq=False)
class Script:
    """What a server runs."""

    writes: bool
    known: bytes = field(repr=False)
    """What a command begins with that has a server run it which knows it."""
    unknown: bytes = field(repr=False)
    """The same for one which does not."""

    @classmethod
    def of(cls, *parts: str, writes: bool = True) -> Script:
        """Return one that begins with the time."""
        text = "".join((_TIME, *parts)).encode()
        digest = sha1(text, usedforsecurity=False).hexdigest().encode()
        return cls(writes, packed_words((b"EVALSHA", digest)), packed_words((b"EVAL", text)))


# ARGV[1] is the time, if another clock than the server's tells it. That may be slower: by the server's a key then stays
# a day longer. Of the other arguments, those that may be None are empty then, and have a plus before them otherwise.
_TIME: Final = """
local now, more = tonumber(ARGV[1]), 86400000
if not now then
  local time = redis.call('TIME')
  now, more = time[1] * 1000000 + time[2], 0
end
local function text(number) return string.format('%.0f', number) end
local function optional(argument) return string.sub(argument, 1, 1) == '+' and string.sub(argument, 2) end
"""

_READ: Final = """
local function read(key)
  local record = redis.call('HMGET', key, 'payload', 'version', 'created', 'last_seen', 'expires_at', 'subject',
    'issued', 'device', 'target', 'pending')
  if record[5] and tonumber(record[5]) > now then return record end
  return {}
end
local function is_live(record) return record[5] and not record[9] and not record[10] end
local function found(answer, record)
  local payload, subject, device = record[1], record[6], record[8]
  return table.concat({answer, text(now), record[2], record[3], record[4], record[5], record[7], #payload,
    subject and #subject or '-', device and #device or '-'}, ' ') .. '\\n' .. payload .. (subject or '') ..
    (device or '')
end
local function absent(record)
  if not record[10] then return 'gone' end
  return table.concat({'pending', record[2], record[10]}, ' ') .. '\\n' .. (record[6] and '+' .. record[6] or '-')
end
"""

_ENDS: Final = """
local LAST = 253370764800000000
local function left(ends) return math.max(1, math.ceil((ends - now) / 1000)) + more end
local function ends(created, seen, idle, absolute)
  local first = math.min(seen + idle, LAST)
  if absolute then return math.min(first, created + absolute) end
  return first
end
local function list(index, member, expires_at)
  local ttl = text(left(expires_at))
  redis.call('ZADD', index, text(expires_at), member)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now))
  if redis.call('PEXPIRE', index, ttl, 'GT') == 0 then redis.call('PEXPIRE', index, ttl, 'NX') end
end
"""

_NOTE: Final = """
local function note(key, target, version, created, issued, expires_at)
  redis.call('HSET', key, 'target', target, 'version', version, 'created', created, 'issued', issued,
    'expires_at', expires_at)
  redis.call('HDEL', key, 'payload', 'last_seen', 'subject', 'device', 'pending', 'note')
  redis.call('PEXPIRE', key, text(left(tonumber(expires_at))))
end
"""

_KEPT: Final = f"""
local moved_until = text(now + {MOVES_KEPT.total_seconds() * 1_000_000:.0f})
"""

# A revocation that is ahead of the clock was made before the clock was set back: see `stores.moments`.
_ENDED: Final = f"""
local KEPT = {REVOCATIONS_KEPT.total_seconds() * 1_000_000:.0f}
local function ended(index)
  local kept = redis.call('ZSCORE', index, '!')
  return kept and tonumber(kept) - KEPT
end
local function is_ahead(ended) return ended - now > {SET_BACK.total_seconds() * 1_000_000:.0f} end
"""

_REVOKED: Final = (
    _ENDED
    + """
local function revoked(index, as_of)
  if not as_of or as_of < now - KEPT then return true end
  local at = ended(index)
  if not at then return false end
  if is_ahead(at) then return as_of > now end
  return as_of < at
end
"""
)

# ARGV: 2 the key that it gets, 3 its version, 4 payload, 5 idle, 6 absolute, 7 as_of, 8 subject or None, 9 device or
# None, 10 whether it restarts, from 11 what the script adds.
_PUT: Final = """
local member, version, payload, subject, device = ARGV[2], ARGV[3], ARGV[4], optional(ARGV[8]), optional(ARGV[9])
local idle, absolute, as_of, restart = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[10] == '1'
local function put(key, index, created, issued, expires_at, pending)
  if subject then list(index, member, expires_at) end
  redis.call('HSET', key, 'payload', payload, 'version', version, 'created', text(created), 'last_seen', text(now),
    'expires_at', text(expires_at), 'issued', text(issued))
  local gone = {'target', 'note'}
  if subject then redis.call('HSET', key, 'subject', subject) else gone[3] = 'subject' end
  if device then redis.call('HSET', key, 'device', device) else gone[#gone + 1] = 'device' end
  if pending then redis.call('HSET', key, 'pending', pending) else gone[#gone + 1] = 'pending' end
  redis.call('HDEL', key, unpack(gone))
  redis.call('PEXPIRE', key, text(left(expires_at)))
  return table.concat({'written', text(now), text(created), text(now), text(expires_at), text(issued)}, ' ')
end
"""

# KEYS: the record; the index of its subject, if it has one.
CREATE: Final = Script.of(
    _READ,
    _ENDS,
    _REVOKED,
    _PUT,
    """
if is_live(read(KEYS[1])) then return 'exists' end
if subject and revoked(KEYS[2], as_of) then return 'revoked' end
return put(KEYS[1], KEYS[2], now, now, ends(now, now, idle, absolute))
""",
)

# KEYS: the record.
LOAD: Final = Script.of(
    _READ,
    """
local record = read(KEYS[1])
if is_live(record) then return found('present', record) end
if record[9] then return table.concat({'moved', text(now), record[7], record[9], record[2], record[3]}, ' ') end
return absent(record)
""",
    writes=False,
)

# KEYS: as CREATE. ARGV: 11 the version that it has.
UPDATE: Final = Script.of(
    _READ,
    _ENDS,
    _PUT,
    """
local record = read(KEYS[1])
if not is_live(record) then return absent(record) end
if record[2] ~= ARGV[11] then return found('conflict', record) end
if subject ~= record[6] then return 'another' end
local created = restart and now or tonumber(record[3])
return put(KEYS[1], KEYS[2], created, tonumber(record[7]), ends(created, now, idle, absolute))
""",
)

# A move within a place. KEYS: the record; its target; the index of the subject that it had, if that is known; the index
# of the one that it gets, if it gets one. ARGV: 11 the version that it has, 12 the key that it has, 13 the subject that
# it had, or None.
MOVE: Final = Script.of(
    _READ,
    _ENDS,
    _NOTE,
    _KEPT,
    _REVOKED,
    _PUT,
    """
local former, index = optional(ARGV[13]), KEYS[#KEYS]
local record = read(KEYS[1])
if not is_live(record) then return absent(record) end
if record[2] ~= ARGV[11] then return found('conflict', record) end
if subject and subject ~= record[6] and revoked(index, as_of) then return 'revoked' end
if is_live(read(KEYS[2])) then return 'taken' end
if record[6] and record[6] ~= former then return 'whose ' .. record[6] end
local created = restart and now or tonumber(record[3])
local answer = put(KEYS[2], index, created, now, ends(created, now, idle, absolute))
if record[6] then redis.call('ZREM', KEYS[3], ARGV[12]) end
note(KEYS[1], member, version, record[3], text(now), moved_until)
return answer
""",
)

# In the new place. KEYS: as CREATE. ARGV: 11 the former key, 12 whether a pending record may be replaced.
STAGE: Final = Script.of(
    _READ,
    _ENDS,
    _REVOKED,
    _PUT,
    f"""
local present = read(KEYS[1])
if is_live(present) then return 'taken' end
if present[10] and ARGV[12] ~= '1' then return absent(present) end
if subject and revoked(KEYS[2], as_of) then return 'revoked' end
local pending = table.concat({{ARGV[11], ARGV[10], ARGV[5], absolute and ARGV[6] or '-'}}, ' ')
local answer = put(KEYS[1], KEYS[2], now, now, now + {STAGED_SECONDS * 1_000_000}, pending)
if present[9] then
  redis.call('HSET', KEYS[1], 'note', table.concat({{present[9], present[2], present[3], present[7], present[5]}}, ' '))
end
return answer
""",
)

# In the old place. KEYS: the record, the index of its subject, if it has one.
# ARGV: 2 the key that it has, 3 the version that it has, 4 the target, 5 the version there, 6 the subject, or None.
TAKE: Final = Script.of(
    _READ,
    _ENDS,
    _NOTE,
    _KEPT,
    """
local record = read(KEYS[1])
if not is_live(record) then return absent(record) end
if record[2] ~= ARGV[3] then return found('conflict', record) end
if record[6] and record[6] ~= optional(ARGV[6]) then return 'whose ' .. record[6] end
if record[6] then redis.call('ZREM', KEYS[2], ARGV[2]) end
note(KEYS[1], ARGV[4], ARGV[5], record[3], text(now), moved_until)
return table.concat({'took', text(now), record[3]}, ' ')
""",
)

# In the new place. KEYS: as CREATE. ARGV: 2 the key, 3 its version, 4 when the record was created, 5 when it was taken.
SETTLE: Final = Script.of(
    _READ,
    _ENDS,
    """
local record = read(KEYS[1])
if record[2] ~= ARGV[3] or record[9] then return 'gone' end
if record[10] then
  local restart, idle, absolute = string.match(record[10], '^%S+ (%S+) (%S+) (%S+)$')
  local taken = tonumber(ARGV[5])
  local created = restart == '1' and taken or tonumber(ARGV[4])
  local expires_at = ends(created, taken, tonumber(idle), tonumber(absolute))
  record[3], record[4], record[5], record[7] = text(created), ARGV[5], text(expires_at), ARGV[5]
  if KEYS[2] then list(KEYS[2], ARGV[2], expires_at) end
  redis.call('HSET', KEYS[1], 'created', record[3], 'last_seen', record[4], 'expires_at', record[5],
    'issued', record[7])
  redis.call('HDEL', KEYS[1], 'pending', 'note')
  redis.call('PEXPIRE', KEYS[1], text(left(expires_at)))
end
return table.concat({'written', text(now), record[3], record[4], record[5], record[7]}, ' ')
""",
)

# Forget what was staged: there is again what was there. KEYS: as CREATE. ARGV: 2 the key, 3 its version.
ABORT: Final = Script.of(
    _ENDS,
    _NOTE,
    """
local record = redis.call('HMGET', KEYS[1], 'version', 'pending', 'note')
if record[1] ~= ARGV[3] or not record[2] then return 'gone' end
if KEYS[2] then redis.call('ZREM', KEYS[2], ARGV[2]) end
if record[3] then
  note(KEYS[1], string.match(record[3], '^(%S+) (%S+) (%S+) (%S+) (%S+)$'))
else
  redis.call('DEL', KEYS[1])
end
return 'done'
""",
)

# KEYS: as CREATE. ARGV: 2 the key, 3 idle, 4 absolute, 5 the subject, or None.
TOUCH: Final = Script.of(
    _READ,
    _ENDS,
    """
local record = read(KEYS[1])
if not is_live(record) then return absent(record) end
if record[6] and record[6] ~= optional(ARGV[5]) then return 'whose ' .. record[6] end
local expires_at = ends(tonumber(record[3]), now, tonumber(ARGV[3]), tonumber(ARGV[4]))
record[4], record[5] = text(now), text(expires_at)
if record[6] then list(KEYS[2], ARGV[2], expires_at) end
redis.call('HSET', KEYS[1], 'last_seen', record[4], 'expires_at', record[5])
redis.call('PEXPIRE', KEYS[1], text(left(expires_at)))
return found('present', record)
""",
)

# KEYS: as CREATE. ARGV: 2 the key, 3 the version that it has to have, if that matters, 4 nothing, 5 the subject or None
DELETE: Final = Script.of(
    _READ,
    """
local record = read(KEYS[1])
if not is_live(record) then return absent(record) end
if ARGV[3] ~= '' and record[2] ~= ARGV[3] then return 'gone' end
if record[6] and record[6] ~= optional(ARGV[5]) then return 'whose ' .. record[6] end
redis.call('DEL', KEYS[1])
if record[6] then redis.call('ZREM', KEYS[2], ARGV[2]) end
return 'present'
""",
)

# KEYS: the index of a subject.
LIST: Final = Script.of(
    "return table.concat(redis.call('ZRANGE', KEYS[1], '(' .. text(now), '+inf', 'BYSCORE'), '\\n')", writes=False
)

# KEYS: records. ARGV: 2 the subject, from 3 the key of each.
SHOW: Final = Script.of(
    """
local answer = {}
for at, key in ipairs(KEYS) do
  local record = redis.call('HMGET', key, 'created', 'last_seen', 'expires_at', 'subject', 'device', 'pending')
  if record[4] == ARGV[2] and tonumber(record[3]) > now then
    local device = record[5]
    answer[#answer + 1] = table.concat({ARGV[at + 2], record[1], record[2], record[3], record[6] and 1 or 0,
      device and #device or '-'}, ' ') .. '\\n' .. (device or '')
  end
end
return table.concat(answer)
""",
    writes=False,
)

# KEYS: the index of a subject, and the records that are to go. ARGV: 2 the subject, 3 the key to be spared, from 4 the
# key of each record. By the server's clock two scripts can have the same time: a revocation counts as the later one.
# It begins with what frees nothing, and might: so a full server lets it go on.
REVOKE: Final = Script.of(
    _ENDS,
    _ENDED,
    """
local index, key_of = KEYS[1], {}
for at = 2, #KEYS do key_of[ARGV[at + 2]] = KEYS[at] end
local going = {}
for _, member in ipairs(redis.call('ZRANGE', index, '(' .. text(now), '+inf', 'BYSCORE')) do
  if member ~= '!' and member ~= ARGV[3] then going[#going + 1] = member end
end
for _, member in ipairs(going) do
  if not key_of[member] then return 'more\\n' .. table.concat(going, '\\n') end
end
local former, at = ended(index), more == 0 and now + 1 or now
if former and not is_ahead(former) then at = math.max(at, former) end
redis.call('ZREM', index, '')
list(index, '!', at + KEPT)
for _, member in ipairs(going) do
  if redis.call('HMGET', key_of[member], 'subject')[1] == ARGV[2] then redis.call('DEL', key_of[member]) end
  redis.call('ZREM', index, member)
end
return 'ended ' .. text(at)
""",
)

# KEYS: any key of the place.
NOW: Final = Script.of("return text(now)", writes=False)
