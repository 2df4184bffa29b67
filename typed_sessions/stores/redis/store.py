"""`RedisStore`: sessions in Redis or Valkey, by redis-py (`pip install typed_sessions[redis]`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, overload

from typed_sessions.errors import ConfigurationError
from typed_sessions.stores.base import (
    Conflict,
    Created,
    Exists,
    Found,
    Gone,
    Lifetime,
    Listed,
    Moved,
    Record,
    Revoked,
    Updated,
    WriteRequest,
)
from typed_sessions.stores.moments import Clock, in_microseconds, moment, moments, reading
from typed_sessions.stores.redis.notation import (
    as_bytes,
    as_text,
    as_written,
    new_version,
    optional,
    spans,
    split_off,
)
from typed_sessions.stores.redis.script import (
    CREATE,
    DELETE,
    DELETE_SUBJECT,
    IDS_OF,
    LOAD,
    NOW,
    TOUCH,
    UPDATE,
    Call,
    Script,
)

if TYPE_CHECKING:
    import redis
    import redis.asyncio

    from typed_sessions.stores.redis.plain_load import PlainRow

__all__ = ["RedisStore"]

_NONE: Final = b""


class RedisStore:
    """Keeps records in Redis or Valkey, of version 6.2 or later, in one round trip for each thing that it is asked for.

    What is asked for at the same time goes out together; an event loop has eight connections at most, a thread one for
    as long as a call takes. All that changes anything is one script, and is therefore atomic. All that the store keeps
    expires by itself: `delete_expired` has nothing to do. Ending a subject's sessions, and listing them, takes time in
    proportion to how many they are, in which the server does nothing else: a millisecond for some hundreds.

    **Durability** is the server's. With `appendonly yes` and `appendfsync always` what is acknowledged survives a
    crash; with `everysec`, the default of an append-only file, the last second may be lost; without the file,
    everything since the last snapshot. A replica that takes over may lack what was written last, a revocation included.

    **Eviction** logs visitors out, and may lose a revocation or the list of a subject's sessions: give sessions a
    server of their own with `maxmemory-policy noeviction` (the default). One that is full refuses what is written, and
    that is StoreUnavailableError here.

    **A cluster** is refused, its client and its nodes, whatever the prefix: while a slot is being moved from one node
    to another, sessions that are there would not be found, and some would survive a revocation. Take a
    `ClusterRedisStore`; or a single server, with replicas and sentinels if need be.

    **Passwords** in a URL are never shown or logged.

    Args:
        client_or_url: `redis://`, `rediss://` or `unix://`, as redis-py takes them, or that of sentinels,
            `redis+sentinel://host,host/service`; or a client of `redis.asyncio`, that of `Sentinel.master_for`, too,
            which must not decode responses. A client is used as it is set up, timeouts and retries included (a `create`
            or `update` that it repeats because the answer was lost is recognised), in the event loop that it belongs
            to, and is closed by whoever has made it.
        prefix: of every key. Stores with different prefixes do not see each other.
        clock: the time, in seconds since the epoch; the server's by default.
        blocking: for threads without an event loop: each call blocks its thread until it is answered, or for as long as
            `time_left` says. A client that is given is one of `redis` then, and is used as it is set up: it does not
            know how much time there is.

    Raises:
        ConfigurationError: the URL or the client is none that the store can use, or redis-py is not installed. At first
            use: the server is a node of a cluster.
    """

    @overload
    def __init__(
        self,
        client_or_url: redis.asyncio.Redis | str,
        *,
        prefix: str = ...,
        clock: Clock | None = ...,
        blocking: Literal[False] = ...,
    ) -> None: ...

    @overload
    def __init__(
        self, client_or_url: redis.Redis | str, *, prefix: str = ..., clock: Clock | None = ..., blocking: Literal[True]
    ) -> None: ...

    def __init__(
        self,
        client_or_url: redis.asyncio.Redis | redis.Redis | str,
        *,
        prefix: str = "session:",
        clock: Clock | None = None,
        blocking: bool = False,
    ) -> None:
        try:
            from typed_sessions.stores.redis.batches import LoopServer  # noqa: PLC0415 - the driver is an extra
            from typed_sessions.stores.redis.blocking import ThreadServer  # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError("RedisStore needs redis-py: pip install 'typed_sessions[redis]'") from error
        self.never_waits: Final = blocking
        server = self._server = (ThreadServer if blocking else LoopServer)(client_or_url, as_bytes(prefix))
        self._clock: Final = clock
        self._by_plain_commands: Final = (
            server.plain_row if clock is None and isinstance(server, ThreadServer) else None
        )

    async def create(self, key: str, write: WriteRequest) -> Created:
        version = new_version()
        answer = await self._run(CREATE, key.encode(), b"%d" % version, _NONE, *_what(write))
        match answer:
            case b"exists":
                return Exists()
            case b"revoked":
                return Revoked()
            case _:
                return as_written(answer, version, write)

    async def load(self, key: str) -> Found:
        if self._by_plain_commands is not None:
            row = await self._by_plain_commands(key.encode())
            if row is not None:
                return _record_in(row)
        answer = await self._run(LOAD, key.encode())
        if answer.startswith(b"moved"):
            now, moved_at, target = answer.split()[1:]
            return Moved(target.decode(), moved_at=_moment(moved_at), as_of=_moment(now))
        return _present(answer)

    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        new = new_version()
        answer = await self._run(UPDATE, key.encode(), b"%d" % new, b"%d" % version, *_what(write, move_to))
        if answer.startswith(b"written"):
            return as_written(answer, new, write)
        match answer:
            case b"gone":
                return Gone()
            case b"revoked":
                return Revoked()
            case b"taken":
                raise ValueError("a record is to move to a key that another one has")
            case _:
                return Conflict(_record(answer))

    async def touch(self, key: str, lifetime: Lifetime) -> Record | None:
        return _present(await self._run(TOUCH, key.encode(), *spans(lifetime)))

    async def delete(self, key: str, *, version: int | None = None) -> bool:
        former = () if version is None else (b"%d" % version,)
        return await self._run(DELETE, key.encode(), *former) == b"present"

    async def delete_expired(self, limit: int = 1000) -> int:  # noqa: ARG002 - the contract's
        """Return 0: the server does that."""
        return 0

    async def ids_of(self, subject: str) -> Sequence[Listed]:
        listed = _all_listed(await self._run(IDS_OF, as_bytes(subject)))
        return sorted(listed, key=lambda one: one.last_seen, reverse=True)

    async def delete_subject(self, subject: str, *, spare: str | None = None) -> datetime:
        return _moment(await self._run(DELETE_SUBJECT, as_bytes(subject), optional(spare)))

    async def now(self, subject: str | None = None) -> datetime:  # noqa: ARG002 - there is one clock for all
        if self._clock is not None:
            return moment(reading(self._clock))
        return _moment(await self._run(NOW))

    async def close(self) -> None:
        """Close what has been opened here, in the event loop that runs. A client that was given stays open."""
        await self._server.close()

    async def _run(self, script: Script, *arguments: bytes) -> bytes:
        """Return what the server answers to a call."""
        time = _NONE if self._clock is None else b"%d" % reading(self._clock)
        return await self._server.run(Call(script, (time, *arguments)))


def _moment(microseconds: bytes) -> datetime:
    return moment(int(microseconds))


def _what(write: WriteRequest, target: str | None = None) -> tuple[bytes, ...]:
    """Return what a record is to be, and to move to: what is none at the end is left out."""
    idle, absolute = spans(write.lifetime)
    as_of, subject, device = write.as_of, write.subject, write.device
    if not (absolute or write.restart) and (as_of, subject, device, target) == (None,) * 4:
        return write.payload, idle
    more = (
        _NONE if as_of is None else b"%d" % in_microseconds(as_of),
        optional(subject),
        optional(device),
        optional(target),
    )
    return (write.payload, idle, absolute, *more, *((b"1",) if write.restart else ()))


def _present(answer: bytes) -> Record | None:
    return None if answer == b"gone" else _record(answer)


def _record(answer: bytes) -> Record:
    line, _, rest = answer.partition(b"\n")
    _, version, size, subject_size, device_size, *times = line.split(b" ")
    as_of, created, last_seen, expires_at, issued = moments(times)
    payload: bytes | None = rest
    subject: bytes | None = None
    device: bytes | None = None
    if subject_size != b"-" or device_size != b"-":
        payload, rest = split_off(rest, size)
        subject, rest = split_off(rest, subject_size)
        device, _ = split_off(rest, device_size)
    return Record(
        payload or b"", int(version), created, last_seen, expires_at, as_of, issued, _text(subject), _text(device)
    )


def _record_in(row: PlainRow) -> Record | None:
    """Return the record that plain commands have told of, unless it has expired, or nobody has the key."""
    if not row:
        return None
    seconds, microseconds, version, created, last_seen, expires_at, issued, payload, subject, device = row
    as_of = _moment(b"%b%06d" % (seconds, int(microseconds)))
    made, seen, ends, given = moments((created, last_seen, expires_at, issued))
    if ends <= as_of:
        return None
    return Record(payload, int(version), made, seen, ends, as_of, given, _text(subject), _text(device))


def _all_listed(answer: bytes) -> Iterator[Listed]:
    while answer:
        line, _, rest = answer.partition(b"\n")
        key, created, last_seen, expires_at, size = line.split()
        device, answer = split_off(rest, size)
        yield Listed(key.decode(), _moment(created), _moment(last_seen), _moment(expires_at), _text(device))


def _text(stored: bytes | None) -> str | None:
    return None if stored is None else as_text(stored)
