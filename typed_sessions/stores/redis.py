"""`RedisStore`: sessions in Redis or Valkey, by redis-py (`pip install typed_sessions[redis]`)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from typed_sessions.errors import ConfigurationError
from typed_sessions.stores import redis_scripts as scripts
from typed_sessions.stores.base import (
    Conflict,
    Created,
    Exists,
    Gone,
    Lifetime,
    Listed,
    Record,
    Revoked,
    Updated,
    Written,
)
from typed_sessions.stores.moments import Clock, in_microseconds, moment, reading

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

    from typed_sessions.stores.redis_batches import Batches

__all__ = ["RedisStore"]

_Answer: TypeAlias = list[bytes]
"""What a script answers: a word that says how it went, the time, and fields of a record."""

_MICROSECOND: Final = timedelta(microseconds=1)


class RedisStore:
    """Keeps records in Redis or Valkey, of version 6.2 or later, in one round trip for each thing that it is asked for.

    What is asked for at the same time goes over one connection together; there are at most eight in each event loop.
    Each change is one script, and therefore atomic. All that the store keeps expires by itself: `delete_expired` has
    nothing to do. Ending a subject's sessions, and listing them, takes time in proportion to how many they are, in
    which the server does nothing else: a millisecond for some hundreds.

    **Durability** is the server's. With `appendonly yes` and `appendfsync always` what is acknowledged survives a
    crash; with `everysec`, the default of an append-only file, the last second may be lost; without the file,
    everything since the last snapshot. A replica that takes over may lack what was written last, a revocation included.

    **Eviction** logs visitors out, and may lose a revocation or the list of a subject's sessions: give sessions a
    server of their own with `maxmemory-policy noeviction` (the default). One that is full refuses what is written, and
    that is StoreUnavailableError here.

    **A cluster** runs a script only on keys of one slot. A prefix with a hash tag, `"{session}:"`, puts all sessions
    into one, that is, onto one node and its replicas; a client of a cluster is refused without. The default prefix has
    none, for a single server needs none.

    **Passwords** in a URL are never shown or logged.

    Args:
        client_or_url: `redis://`, `rediss://` or `unix://`, as redis-py takes them; or a client of `redis.asyncio`,
            which must not decode responses. A client is used as it is set up, timeouts and retries included (a `create`
            or `update` that it repeats because the answer was lost is recognised), in the event loop that it belongs
            to, and it is not closed.
        prefix: of every key. Stores with different prefixes do not see each other.
        clock: the time, in seconds since the epoch; the server's by default.

    Raises:
        ConfigurationError: the URL or the client is none that the store can use, or redis-py is not installed.
    """

    def __init__(
        self, client_or_url: Redis | RedisCluster | str, *, prefix: str = "session:", clock: Clock | None = None
    ) -> None:
        try:
            from typed_sessions.stores import redis_batches  # noqa: PLC0415 - the driver is an extra
        except ImportError as error:
            raise ConfigurationError("RedisStore needs redis-py: pip install 'typed_sessions[redis]'") from error
        self._open: Final = redis_batches.opener(client_or_url, prefix)
        self._prefix: Final = _bytes(prefix)
        self._clock: Final = clock
        self._batches: Batches | None = None

    async def create(self, key: str, written: Written) -> Created:
        version = _new_version()
        answer = await self._run(
            scripts.CREATE,
            self._keys(key, subject=written.subject),
            key, str(version), written.payload, *_spans(written.lifetime), _as_of(written), *_subject(written),
        )  # fmt: skip
        match answer[0]:
            case b"exists":
                return Exists()
            case b"revoked":
                return Revoked()
            case _:
                return _as_written(answer, version, written)

    async def load(self, key: str) -> Record | None:
        return _present(await self._run(scripts.LOAD, self._keys(key), key))

    async def update(self, key: str, version: int, written: Written, *, move_to: str | None = None) -> Updated:
        new, target = _new_version(), move_to or key
        answer = await self._run(
            scripts.UPDATE,
            self._keys(key, target, subject=written.subject),
            key, str(new), written.payload, *_spans(written.lifetime), _as_of(written),
            str(version), target, int(written.restart), *_subject(written),
        )  # fmt: skip
        match answer[0]:
            case b"gone":
                return Gone()
            case b"conflict":
                return Conflict(_record(answer))
            case b"revoked":
                return Revoked()
            case b"taken":
                raise ValueError("a record is to move to a key that another one has")
            case _:
                return _as_written(answer, new, written)

    async def touch(self, key: str, lifetime: Lifetime) -> Record | None:
        return _present(await self._run(scripts.TOUCH, self._keys(key), key, *_spans(lifetime)))

    async def delete(self, key: str) -> bool:
        return bool(await self._call(scripts.DELETE, self._keys(key), key))

    async def delete_expired(self, limit: int = 1000) -> int:  # noqa: ARG002 - the contract's
        """Return 0: the server does that."""
        return 0

    async def ids_of(self, subject: str) -> Sequence[Listed]:
        answer = await self._call(scripts.IDS_OF, self._keys(subject=subject), _bytes(subject))
        listed = [
            Listed(key.decode(), *(moment(int(time)) for time in times))
            for key, *times in cast("list[_Answer]", answer)
        ]
        return sorted(listed, key=lambda one: one.last_seen, reverse=True)

    async def delete_subject(self, subject: str, *, spare: str | None = None) -> datetime:
        spared = () if spare is None else (spare,)
        answer = await self._call(scripts.DELETE_SUBJECT, self._keys(subject=subject), _bytes(subject), *spared)
        return moment(int(cast("bytes", answer)))

    async def now(self) -> datetime:
        if self._clock is not None:
            return moment(reading(self._clock))
        return moment(int(cast("bytes", await self._call(scripts.NOW, ()))))

    async def close(self) -> None:
        batches, self._batches = self._batches, None
        if batches is not None and batches.loop is asyncio.get_running_loop():
            await batches.close()

    async def _run(self, script: scripts.Script, keys: tuple[bytes, ...], *arguments: bytes | str | int) -> _Answer:
        return cast("_Answer", await self._call(script, keys, *arguments))

    async def _call(self, script: scripts.Script, keys: tuple[bytes, ...], *arguments: bytes | str | int) -> object:
        """Return what the script answers. Its first arguments are the prefix and the time, if a clock says that."""
        batches = self._batches
        if batches is None or batches.loop is not asyncio.get_running_loop():
            batches = self._batches = self._open()
        time = b"" if self._clock is None else reading(self._clock)
        return await batches.run(script, keys, (self._prefix, time, *arguments))

    def _keys(self, *keys: str, subject: str | None = None) -> tuple[bytes, ...]:
        """Return what the server has to know of the keys that a script uses."""
        names = [self._prefix + key.encode() for key in keys]
        if subject is not None:
            names += [self._prefix + kind + _bytes(subject) for kind in (b"subject:", b"revoked:")]
        return tuple(names)


def _new_version() -> int:
    return secrets.randbits(63)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _subject(written: Written) -> tuple[bytes, ...]:
    return () if written.subject is None else (_bytes(written.subject),)


def _as_of(written: Written) -> int | bytes:
    return b"" if written.as_of is None else in_microseconds(written.as_of)


def _spans(lifetime: Lifetime) -> tuple[int, int | bytes]:
    absolute = b"" if lifetime.absolute is None else lifetime.absolute // _MICROSECOND
    return lifetime.idle // _MICROSECOND, absolute


def _present(answer: _Answer) -> Record | None:
    return None if answer[0] == b"gone" else _record(answer)


def _record(answer: _Answer) -> Record:
    _, now, payload, version, created, last_seen, expires_at, subject = answer
    return Record(
        payload=payload,
        version=int(version),
        created=moment(int(created)),
        last_seen=moment(int(last_seen)),
        expires_at=moment(int(expires_at)),
        as_of=moment(int(now)),
        subject=_subject_of(subject),
    )


def _as_written(answer: _Answer, version: int, written: Written) -> Record:
    """Return the record as it is now. Its payload did not have to come back."""
    now, created, last_seen, expires_at = (moment(int(time)) for time in answer[1:])
    return Record(
        payload=written.payload,
        version=version,
        created=created,
        last_seen=last_seen,
        expires_at=expires_at,
        as_of=now,
        subject=written.subject,
    )


def _subject_of(field: bytes | None) -> str | None:
    return None if field is None else field.decode("utf-8", "surrogatepass")
