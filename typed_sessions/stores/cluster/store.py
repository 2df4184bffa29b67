"""`ClusterRedisStore`: sessions in a Redis or Valkey cluster, by redis-py (`pip install typed_sessions[redis]`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from typed_sessions.errors import ConfigurationError
from typed_sessions.stores.base import (
    Conflict,
    Created,
    Exists,
    Found,
    Gone,
    Lifetime,
    Listed,
    Record,
    Revoked,
    Updated,
    WriteRequest,
)
from typed_sessions.stores.cluster import scripts
from typed_sessions.stores.cluster.answers import (
    Pending,
    found,
    listed_in,
    moment_of,
    pending,
    record_of,
    requested,
    taken,
)
from typed_sessions.stores.moments import Clock, moment, reading
from typed_sessions.stores.redis.notation import as_bytes, as_text, as_written, new_version, optional, spans

if TYPE_CHECKING:
    import redis
    import redis.asyncio

    from typed_sessions.stores.cluster.scripts import Script

__all__ = ["ClusterRedisStore"]

_PLACE: Final = 4
"""Digits of a key: 65,536 places, four for each slot of a cluster."""

_SHOWN_AT_ONCE: Final = 500
"""So many records of a subject are read in one go, in which the server does nothing else."""

_TAKEN: Final = "a record is to move to a key that another one has"
_ANOTHER: Final = "a record that becomes another subject's moves to a key in the place of that"


class ClusterRedisStore:
    """Keeps records in a Redis cluster, of version 7 or later, or a Valkey cluster, spread over all its nodes.

    The first four digits of a key are its *place*, which says the slot. All records of a subject, the list of them, and
    the note of when they were ended have one place, so that each operation is one script on one node, and atomic. An
    anonymous session has a place of its own. One that becomes somebody's moves to another place, in three steps: what
    breaks off between them leaves the former session, or the new one, or none; never both. If its user's sessions are
    ended at that very moment, it may be gone.

    Calls go to masters alone: a replica might show what was ended. What a node refuses, because it does not have the
    slot, or not yet, or because a failover is under way, goes where it should, for five seconds, or until whoever waits
    has no time left. A change that was sent and not answered is not sent again. A master that has not answered for half
    a second is doubted: calls look for another one first.

    **Durability** is that of the nodes, and of the failover: a replica that takes over may lack what was written last,
    a revocation included. With `?wait=1` a change is acknowledged when one replica has it. That takes a round trip
    between nodes more for each, and if no replica has it in half a second, it is StoreUnavailableError. Have two
    replicas of each master then: one that takes over can acknowledge nothing before it has a replica itself.

    **A single server** that is no cluster does, too: it has all slots. So sessions can move to a cluster later.

    **Eviction, passwords**: as `RedisStore` has it.

    Args:
        client_or_url: `redis+cluster://user:password@host:port,host:port?wait=1`, or with `rediss+cluster`; some of the
            nodes are enough. Or a `RedisCluster` of redis-py's, from which its nodes, user, password and TLS settings
            are taken, and nothing else: the store has connections of its own, up to eight to each node in a loop.
        prefix: of every key. Stores with different prefixes do not see each other.
        clock: the time, in seconds since the epoch; by default that of the node that has the record.
        blocking: for threads without an event loop: each call blocks its thread until it is answered, or for as long as
            `time_left` says.

    Raises:
        ConfigurationError: the URL or the client is none that the store can use, the prefix has a brace, or redis-py is
            not installed. At first use: several servers were given that are no cluster.
    """

    def __init__(
        self,
        client_or_url: redis.asyncio.RedisCluster | redis.RedisCluster | str,
        *,
        prefix: str = "session:",
        clock: Clock | None = None,
        blocking: bool = False,
    ) -> None:
        try:
            from typed_sessions.stores.cluster.pipelines import LoopCluster  # noqa: PLC0415 - the driver is an extra
            from typed_sessions.stores.cluster.seeds import Seeds  # noqa: PLC0415
            from typed_sessions.stores.cluster.threads import ThreadCluster  # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError("ClusterRedisStore needs redis-py: pip install 'typed_sessions[redis]'") from error
        if "{" in prefix:
            raise ConfigurationError("the prefix of a ClusterRedisStore cannot have a brace: the place is between them")
        if isinstance(client_or_url, str):
            seeds = Seeds.of_url(client_or_url, blocking=blocking)
        else:
            seeds = Seeds.of_client(client_or_url, blocking=blocking)
        self.never_waits: Final = blocking
        self._cluster: Final = (ThreadCluster if blocking else LoopCluster)(seeds)
        self._prefix: Final = as_bytes(prefix)
        self._clock: Final = clock

    def place_of(self, subject: str) -> str:
        return sha256(as_bytes(subject)).hexdigest()[:_PLACE]

    async def create(self, key: str, write: WriteRequest) -> Created:
        version = new_version()
        answer = await self._run(scripts.CREATE, self._keys(key, write.subject), *requested(key, version, write))
        match answer:
            case b"exists":
                return Exists()
            case b"revoked":
                return Revoked()
            case _:
                return as_written(answer, version, write)

    async def load(self, key: str) -> Found:
        return found(await self._settling(key, scripts.LOAD, [self._key(key)]))

    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        new = new_version()
        target = move_to or key
        keys = self._keys(target, write.subject)
        what = requested(target, new, write)
        if target == key:
            answer = await self._settling(key, scripts.UPDATE, keys, *what, b"%d" % version)
        elif target[:_PLACE] == key[:_PLACE]:
            answer = await self._move_within(key, version, write, keys, what)
        else:
            answer = await self._move(key, version, keys, what)
        match answer.split(b" ", 1)[0]:
            case b"written":
                return as_written(answer, new, write)
            case b"conflict":
                return Conflict(record_of(answer))
            case b"revoked":
                return Revoked()
            case b"taken":
                raise ValueError(_TAKEN)
            case b"another":
                raise ValueError(_ANOTHER)
            case _:
                return Gone()

    async def touch(self, key: str, lifetime: Lifetime) -> Record | None:
        answer = await self._whosever(key, scripts.TOUCH, *spans(lifetime))
        return record_of(answer) if answer.startswith(b"present") else None

    async def delete(self, key: str, *, version: int | None = None) -> bool:
        return await self._whosever(key, scripts.DELETE, b"" if version is None else b"%d" % version, b"") == b"present"

    async def delete_expired(self, limit: int = 1000) -> int:  # noqa: ARG002 - the contract's
        """Return 0: the servers do that."""
        return 0

    async def ids_of(self, subject: str) -> Sequence[Listed]:
        keys = (await self._run(scripts.LIST, [self._index(subject)])).decode().split("\n")
        keys = [key for key in keys if key not in {"", "!"}]
        listed = list[Listed]()
        for at in range(0, len(keys), _SHOWN_AT_ONCE):
            shown = keys[at : at + _SHOWN_AT_ONCE]
            answer = await self._run(scripts.SHOW, [*map(self._key, shown)], as_bytes(subject), *map(as_bytes, shown))
            live, unsettled = listed_in(answer)
            listed += live
            for key in unsettled:
                record = await self.load(key)
                if isinstance(record, Record) and record.subject == subject:
                    listed.append(Listed(key, record.created, record.last_seen, record.expires_at, record.device))
        return sorted(listed, key=lambda one: one.last_seen, reverse=True)

    async def delete_subject(self, subject: str, *, spare: str | None = None) -> datetime:
        going: list[bytes] = []
        while True:
            keys = [self._index(subject), *(self._key(key.decode()) for key in going)]
            answer = await self._run(scripts.REVOKE, keys, as_bytes(subject), as_bytes(spare or ""), *going)
            first, *going = answer.split()
            if first == b"ended":
                return moment_of(going[0])

    async def now(self, subject: str | None = None) -> datetime:
        if self._clock is not None:
            return moment(reading(self._clock))
        return moment_of(await self._run(scripts.NOW, [self._index(subject or "")]))

    async def close(self) -> None:
        """Close what has been opened here, in the event loop that runs."""
        await self._cluster.close()

    def _key(self, key: str) -> bytes:
        return b"%s{%s}:%s" % (self._prefix, key[:_PLACE].encode(), key.encode())

    def _index(self, subject: str) -> bytes:
        return b"%s{%s}:subject:%s" % (self._prefix, self.place_of(subject).encode(), as_bytes(subject))

    def _keys(self, key: str, subject: str | None) -> list[bytes]:
        """Return the keys of a record and of its subject's index.

        Raises:
            ValueError: they are in different places.
        """
        if subject is None:
            return [self._key(key)]
        if key[:_PLACE] != self.place_of(subject):
            raise ValueError(_ANOTHER)
        return [self._key(key), self._index(subject)]

    async def _run(self, script: Script, keys: Sequence[bytes], *arguments: bytes) -> bytes:
        """Return what a script answers."""
        time = b"" if self._clock is None else b"%d" % reading(self._clock)
        return await self._cluster.run(script, keys, (time, *arguments))

    async def _settling(self, key: str, script: Script, keys: Sequence[bytes], *arguments: bytes) -> bytes:
        """Return what a script answers about a record that is not pending, unless nobody can settle it yet."""
        while True:
            answer = await self._run(script, keys, *arguments)
            staged = pending(answer)
            if staged is None or not await self._settle(key, staged):
                return answer

    async def _settle(self, key: str, staged: Pending) -> bool:
        """Make a pending record live, if its move has taken place, and return True if it is live."""
        note = taken(await self._run(scripts.LOAD, [self._key(staged.former)]))
        if note is None or (note.target, note.version) != (key, staged.version):
            return False
        keys = self._keys(key, staged.subject)
        return await self._run(scripts.SETTLE, keys, key.encode(), note.version, note.created, note.at) != b"gone"

    async def _whosever(self, key: str, script: Script, *arguments: bytes) -> bytes:
        """Return what a script answers that has to know the subject of a record."""
        subject: str | None = None
        while True:
            keys = self._keys(key, subject)
            answer = await self._settling(key, script, keys, key.encode(), *arguments, optional(subject))
            if not answer.startswith(b"whose "):
                return answer
            subject = as_text(answer.removeprefix(b"whose "))

    async def _move_within(
        self, key: str, version: int, write: WriteRequest, keys: Sequence[bytes], what: Sequence[bytes]
    ) -> bytes:
        """Move a record to another key of its place, and return what the script answers."""
        target, *index = keys
        former = write.subject
        while True:
            former_index = [] if former is None else [self._index(former)]
            all_keys = [self._key(key), target, *former_index, *index]
            whose = optional(former)
            answer = await self._settling(key, scripts.MOVE, all_keys, *what, b"%d" % version, key.encode(), whose)
            if not answer.startswith(b"whose "):
                return answer
            former = as_text(answer.removeprefix(b"whose "))

    async def _move(self, key: str, version: int, keys: Sequence[bytes], what: Sequence[bytes]) -> bytes:
        """Move a record to another place: stage it there, take it here, settle it there. Return as `_move_within`."""
        target, staging, *_ = what
        staged = await self._settling(target.decode(), scripts.STAGE, keys, *what, key.encode(), b"0")
        if staged.startswith(b"pending"):
            staged = await self._run(scripts.STAGE, keys, *what, key.encode(), b"1")
        if not staged.startswith(b"written"):
            present = await self._settling(key, scripts.LOAD, [self._key(key)])
            if not present.startswith(b"present"):
                return b"gone"
            return staged if record_of(present).version == version else present.replace(b"present", b"conflict", 1)
        took = await self._whosever(key, scripts.TAKE, b"%d" % version, target, staging)
        if not took.startswith(b"took"):
            await self._run(scripts.ABORT, keys, target, staging)
            return took
        _, at, created = took.split()
        settled = await self._run(scripts.SETTLE, keys, target, staging, created, at)
        return b"revoked" if settled == b"gone" and len(keys) > 1 else settled
