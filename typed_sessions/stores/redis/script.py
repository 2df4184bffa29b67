"""The scripts of `RedisStore`, in Lua that the server runs: one for each thing that the store does.

What a store keeps, under its prefix:

- `<key>`, a hash: a record. The fields are those of `Record`; times are in microseconds since the epoch. One with a
  `target` is the note that the record has moved there, with the time of that as `issued`.
- `subject:<subject>`, a sorted set: the keys of a subject's records, scored by when they expire.
- `revoked:<subject>`, a text: when the sessions of a subject were ended.

Every key expires by itself, for cleanliness only: what counts is the comparison of `expires_at` with the time.

KEYS has the prefix, which tells a cluster the slot: which keys a record's subject means, only the record knows. ARGV
has the time (empty for the server's) and the arguments: a number, or empty for none; a text that may be none is empty,
or begins with `+`. What is none at the end may be left out. The answer is one text. No script has functions of its own:
the server would make each of them anew for each run, which takes it as long as the rest.

A call that a server refuses is refused at its first change, if that may need memory: those that keep something begin
with it. What fails later leaves a key in a subject's list at most, which is found out when the list is read.

Numbers in Lua are doubles. Times up to the year 2255 fit to the microsecond, and the end of a record that lives longer
(the last one is the year 9999) to some 30 of them. Versions do not fit, and stay text.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha1
from typing import Final, NamedTuple

from attrs import define, field

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


@define(eq=False)
class Script:
    """What the server runs."""

    source: bytes = field(repr=False)
    digest: bytes = field(init=False)
    """Under which a server remembers it."""
    heads: dict[bytes, tuple[bytes, bytes]] = field(init=False, repr=False)
    """What commands begin with, by the prefix of a store."""

    def __attrs_post_init__(self) -> None:
        self.digest = sha1(self.source, usedforsecurity=False).hexdigest().encode()
        self.heads = {}

    def heads_with(self, prefix: bytes) -> tuple[bytes, bytes]:
        """Return what commands begin with that have a server run it, one which knows it, and one which does not."""
        heads = self.heads.get(prefix)
        if heads is None:
            known, unknown = (b"EVALSHA", self.digest, b"1", prefix), (b"EVAL", self.source, b"1", prefix)
            heads = self.heads[prefix] = packed_words(known), packed_words(unknown)
        return heads


def _script(text: str) -> Script:
    return Script(text.encode())


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


def _given(argument: str) -> str:
    """Return what a text is that may be none."""
    return f"({argument} and {argument} ~= '' and string.sub({argument}, 2) or nil)"


def _row(key: str) -> str:
    """Return what is under a key."""
    return (
        f"redis.call('HMGET', prefix .. {key}, "
        "'payload', 'version', 'created', 'last_seen', 'expires_at', 'subject', 'issued', 'device', 'target')"
    )


def _is_live(row: str) -> str:
    return f"({row}[5] and tonumber({row}[5]) > now and not {row}[9])"


def _found(answer: str, row: str) -> str:
    """Return the answer with a record."""
    sizes = f"#{row}[1], {row}[6] and #{row}[6] or '-', {row}[8] and #{row}[8] or '-'"
    times = f"seen, {row}[3], {row}[4], {row}[5], {row}[7]"
    texts = f"{row}[1] .. ({row}[6] or '') .. ({row}[8] or '')"
    return f"table.concat({{'{answer}', {row}[2], {sizes}, {times}}}, ' ') .. '\\n' .. {texts}"


def _written(created: str, last_seen: str, expires_at: str, issued: str) -> str:
    """Return the answer that a record was written."""
    return f"table.concat({{'written', seen, {created}, {last_seen}, {expires_at}, {issued}}}, ' ')"


def _left(ends: str) -> str:
    """Return how long a key is kept that ends at a time."""
    return f"string.format('%.0f', math.ceil(({ends} - now) / 1000) + more)"


def _expiry(created: str, idle: str, absolute: str) -> str:
    """Find out when a record ends, and how long its key is kept."""
    return f"""
local ends, absolute = math.min(now + {idle}, 253370764800000000), tonumber({absolute})
if absolute then ends = math.min(ends, {created} + absolute) end
local expires_at, ttl = string.format('%.0f', ends), {_left("ends")}
"""


def _list(key: str, subject: str) -> str:
    """Put a record into the list of its subject."""
    return f"""
  local index = prefix .. 'subject:' .. {subject}
  redis.call('ZADD', index, expires_at, {key})
  redis.call('ZREMRANGEBYSCORE', index, '-inf', seen)
  if redis.call('PTTL', index) < tonumber(ttl) then redis.call('PEXPIRE', index, ttl) end
"""


def _unlist(key: str, subject: str) -> str:
    return f"redis.call('ZREM', prefix .. 'subject:' .. {subject}, {key})"


# A revocation that is ahead of the clock was made before the clock was set back: see `stores.moments`.
_KEPT: Final = f"{REVOCATIONS_KEPT.total_seconds() * 1_000_000:.0f}"
_SET_BACK: Final = f"{SET_BACK.total_seconds() * 1_000_000:.0f}"

_REFUSE_REVOKED: Final = f"""
  local as_of = tonumber(ARGV[8])
  if not as_of or as_of < now - {_KEPT} then return 'revoked' end
  local ended = tonumber(redis.call('GET', prefix .. 'revoked:' .. subject) or nil)
  if ended and ended - now > {_SET_BACK} then
    if as_of > now then return 'revoked' end
  elseif ended and as_of < ended then
    return 'revoked'
  end
"""

# `before` is what was under the key, or what a record of another key is to take the place of.
_PUT: Final = f"""
local name = prefix .. target
if subject then {_list("target", "subject")} end
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
"""

# A driver that repeats a call whose answer was lost finds its own version there: the answer is the one that was lost.
CREATE: Final = _script(
    f"""{_TIME}
local target, subject, device = ARGV[2], {_given("ARGV[9]")}, {_given("ARGV[10]")}
local before, created, issued = {_row("target")}, seen, seen
if {_is_live("before")} then
  if before[2] == ARGV[3] then return {_written("before[3]", "before[4]", "before[5]", "before[7]")} end
  return 'exists'
end
if subject then {_REFUSE_REVOKED} end
{_expiry("now", "ARGV[6]", "ARGV[7]")}
{_PUT}
return {_written("seen", "seen", "expires_at", "seen")}
"""
)

LOAD: Final = _script(
    f"""{_TIME}
local row = {_row("ARGV[2]")}
if {_is_live("row")} then return {_found("present", "row")} end
if row[9] and tonumber(row[5]) > now then return table.concat({{'moved', seen, row[7], row[9]}}, ' ') end
return 'gone'
"""
)

UPDATE: Final = _script(
    f"""{_TIME}
local key, subject, device = ARGV[2], {_given("ARGV[9]")}, {_given("ARGV[10]")}
local target = {_given("ARGV[11]")} or key
local present, is_taken = {_row("key")}, false
local before, done = present, present
if target ~= key then
  before = {_row("target")}
  is_taken = {_is_live("before")}
  if is_taken then done = before end
end
if done[2] == ARGV[3] and {_is_live("done")} then return {_written("done[3]", "done[4]", "done[5]", "done[7]")} end
if not {_is_live("present")} then return 'gone' end
if present[2] ~= ARGV[4] then return {_found("conflict", "present")} end
if subject and subject ~= present[6] then {_REFUSE_REVOKED} end
if is_taken then return 'taken' end
local created, issued = present[3], present[7]
if ARGV[12] then created = seen end
if target ~= key then issued = seen end
{_expiry("created", "ARGV[6]", "ARGV[7]")}
{_PUT}
if target ~= key then
  local moved_until, former = now + {MOVES_KEPT.total_seconds() * 1_000_000:.0f}, prefix .. key
  redis.call('DEL', former)
  redis.call('HSET', former, 'target', target, 'issued', seen, 'expires_at', string.format('%.0f', moved_until))
  redis.call('PEXPIRE', former, {_left("moved_until")})
end
if present[6] and (target ~= key or subject ~= present[6]) then {_unlist("key", "present[6]")} end
return {_written("created", "seen", "expires_at", "issued")}
"""
)

TOUCH: Final = _script(
    f"""{_TIME}
local key = ARGV[2]
local row = {_row("key")}
if not {_is_live("row")} then return 'gone' end
{_expiry("row[3]", "ARGV[3]", "ARGV[4]")}
row[4], row[5] = seen, expires_at
if row[6] then {_list("key", "row[6]")} end
redis.call('HSET', prefix .. key, 'last_seen', seen, 'expires_at', expires_at)
redis.call('PEXPIRE', prefix .. key, ttl)
return {_found("present", "row")}
"""
)

DELETE: Final = _script(
    f"""{_TIME}
local key, version = ARGV[2], ARGV[3]
local row = {_row("key")}
if not {_is_live("row")} or (version and row[2] ~= version) then return 'gone' end
redis.call('DEL', prefix .. key)
if row[6] then {_unlist("key", "row[6]")} end
return 'present'
"""
)

IDS_OF: Final = _script(
    f"""{_TIME}
local subject = ARGV[2]
local index, answer = prefix .. 'subject:' .. subject, {{}}
redis.call('ZREMRANGEBYSCORE', index, '-inf', seen)
for _, key in ipairs(redis.call('ZRANGE', index, 0, -1)) do
  local record = redis.call('HMGET', prefix .. key, 'created', 'last_seen', 'expires_at', 'subject', 'device')
  if record[4] == subject and tonumber(record[3]) > now then
    local device = record[5]
    answer[#answer + 1] = table.concat({{key, record[1], record[2], record[3], device and #device or '-'}}, ' ') ..
      '\\n' .. (device or '')
  else
    {_unlist("key", "subject")}
  end
end
return table.concat(answer)
"""
)

# A full server refuses a script that begins with what may need memory, and lets one go on that has begun otherwise: the
# sessions of a subject can be ended all the same. By the server's clock two scripts can have the same time, and a
# revocation counts as the later one, so that who has loaded a record before it is older than that.
DELETE_SUBJECT: Final = _script(
    f"""{_TIME}
local subject, spare = ARGV[2], {_given("ARGV[3]")}
local index, mark = prefix .. 'subject:' .. subject, prefix .. 'revoked:' .. subject
redis.call('ZREMRANGEBYSCORE', index, '-inf', seen)
for _, key in ipairs(redis.call('ZRANGE', index, 0, -1)) do
  if key ~= spare then
    if redis.call('HGET', prefix .. key, 'subject') == subject then redis.call('DEL', prefix .. key) end
    {_unlist("key", "subject")}
  end
end
local former, ended = tonumber(redis.call('GET', mark) or 0), more == 0 and now + 1 or now
if former - now <= {_SET_BACK} then ended = math.max(ended, former) end
redis.call('SET', mark, string.format('%.0f', ended), 'PX', {_left(f"(ended + {_KEPT})")})
return string.format('%.0f', ended)
"""
)

NOW: Final = _script(f"{_TIME}return seen\n")
