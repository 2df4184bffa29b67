"""`Router`: which node a call goes to, and where to next if that one does not have its slot.

It is written once, for event loops and for threads: what asks a node, and what waits, is a `Nodes`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from attrs import define
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as DriverConnectionError
from redis.exceptions import TimeoutError as DriverTimeoutError
from typing_extensions import override

from typed_sessions.errors import ConfigurationError, StoreUnavailableError
from typed_sessions.stores.cluster.scripts import Script
from typed_sessions.stores.redis.calls import Answer, discreet
from typed_sessions.stores.redis.script import packed_words

__all__ = [
    "ASKING",
    "Address",
    "Call",
    "Nodes",
    "NotSentError",
    "Router",
    "Shard",
    "acknowledged",
    "host_in",
    "wait_for",
]

Address: TypeAlias = tuple[str, int]

Shard: TypeAlias = tuple[int, int, Address]
"""The first and the last slot, and the master that has them."""

ASKING: Final = b"*1\r\n$6\r\nASKING\r\n"

SLOTS: Final = 16_384

PATIENCE: Final = 5.0
"""Seconds until a call is given up that no node takes, unless whoever waits for it has given up before."""

WAIT_MILLISECONDS: Final = 500
"""Until a change is not taken for acknowledged that too few replicas have."""

_BETWEEN_LOOKS: Final = 0.1
"""Seconds from one look at the cluster to the next one: what is under way may be thousands of calls."""

_BETWEEN_REDIRECTS: Final = 1.0
"""The same where only the slot of one call has moved."""

_PAUSE: Final = 0.05
"""Seconds at most until a call is sent again that no node could take."""

_PAUSE_OF_A_TRY: Final = 0.004
_QUICK_TRIES: Final = 3
"""So often a call follows redirections at once."""

_SILENCE: Final = 0.5
"""Seconds without an answer of a master, until the others are asked whether another one has taken over."""


class NotSentError(Exception):
    """A node could not be reached: nothing was sent."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure: Final = failure
        """What the driver has raised."""


class Call(NamedTuple):
    """A script that is to run, and what it needs."""

    script: Script
    keys: Sequence[bytes]
    """All that it may read or write. They have one place, and so one slot."""
    arguments: Sequence[bytes]
    is_asking: bool = False
    """Whether the node has to be told that the slot is on its way to it, on the same connection."""

    @override
    def __repr__(self) -> str:
        return f"Call({self.script!r})"  # the rest knows identifiers

    @property
    def slot(self) -> int:
        return key_slot(self.keys[0])

    @property
    def size(self) -> int:
        """About how many bytes it has."""
        return sum(map(len, self.arguments))

    def packed(self, *, with_text: bool) -> bytes:
        """Return the command as it goes to a node (RESP): with the text of the script, if it may lack that."""
        keys, script = self.keys, self.script
        words = packed_words((b"%d" % len(keys), *keys, *self.arguments))
        count = 3 + len(keys) + len(self.arguments)
        return b"*%d\r\n%b%b" % (count, script.unknown if with_text else script.known, words)


def wait_for(replicas: int, calls: Iterable[Call]) -> bytes:
    """Return what a node is asked after calls, for it to answer when replicas have what they have changed."""
    if not replicas or not any(call.script.writes for call in calls):
        return b""
    return b"*3\r\n" + packed_words((b"WAIT", b"%d" % replicas, b"%d" % WAIT_MILLISECONDS))


def acknowledged(call: Call, answer: Answer, replicas: int, copies: object) -> Answer:
    """Return what a node has answered to a call, if enough replicas have what it has changed.

    Args:
        call: what it was asked.
        answer: what it said.
        replicas: how many should have it.
        copies: how many have it, if the node was asked.
    """
    if not replicas or not call.script.writes or isinstance(answer, Exception):
        return answer
    is_copied = isinstance(copies, int | bytes) and int(copies) >= replicas
    return answer if is_copied else ResponseError("written, but too few replicas have it")


class Nodes(Protocol):
    """What a router needs of its surroundings."""

    def ask(self, address: Address, call: Call, *, with_text: bool) -> Awaitable[Answer]:
        """Return what a node answers, or what has kept it from doing so: a `NotSentError`, if it was not asked.

        Args:
            address: of the node.
            call: what it is asked.
            with_text: whether it may lack the script. Of many calls that it is sent at once, one brings it.

        Raises:
            StoreUnavailableError: there is no time left.
        """
        ...

    async def shards(self, address: Address) -> Sequence[Shard] | None:
        """Return what a node says of the cluster; None if it is none of a cluster.

        Raises:
            RedisError, OSError: it says nothing.
        """
        ...

    async def leave(self, masters: Collection[Address], silent: Collection[Address]) -> None:
        """Let go of nodes that are no masters: what they were not sent yet goes elsewhere.

        Args:
            masters: all of them.
            silent: nodes that do not answer. What they were sent, they are not waited for.
        """
        ...

    def turn(self) -> AbstractAsyncContextManager[object]:
        """Return what is entered by one at a time."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let others have their turn meanwhile."""
        ...


@define(eq=False, weakref_slot=False)
class _Way:
    """Where a call goes next."""

    address: Address | None = None
    """None for the master that has its slot."""
    is_asking: bool = False
    with_text: bool = False
    tries: int = 0
    asked: Address = ("", 0)
    """Where it went last."""


class Router:
    """Sends calls to the masters of a cluster.

    Once a call was sent that changes something, and neither answered nor redirected, nobody knows whether it took
    place: it is not sent again.

    Args:
        nodes: what asks a node, and waits.
        seeds: nodes that are known from the beginning.
    """

    def __init__(self, nodes: Nodes, seeds: Sequence[Address]) -> None:
        self._nodes: Final = nodes
        self._seeds: Final = seeds
        self._masters: list[Address | None] = [None] * SLOTS
        """Of each slot."""
        self._silent_since: Final[dict[Address, float]] = {}
        """When nodes were asked something that have not answered anything since."""
        self._looks = 0
        self._looked_at = -_BETWEEN_LOOKS

    async def run(self, call: Call) -> bytes:
        """Return what the script answers.

        Raises:
            StoreUnavailableError: it may have taken place, or not.
            ConfigurationError: the servers are not those of one cluster.
        """
        slot, way, until = call.slot, _Way(), time.monotonic() + PATIENCE
        try:
            while True:
                looks, answer = self._looks, await self._ask(slot, call, way)
                if isinstance(answer, bytes):
                    return answer
                pause, is_lost = self._redirect(slot, way, answer)
                if time.monotonic() + pause > until:
                    raise answer  # noqa: TRY301 - as what a driver raises
                if pause:
                    await self._nodes.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - others take turns
                if is_lost:
                    await self._look(looks)
        except (StoreUnavailableError, ConfigurationError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a driver raises
            raise StoreUnavailableError("the session store did not answer as it should") from discreet(error)

    async def _ask(self, slot: int, call: Call, way: _Way) -> bytes | Exception:
        """Return what a node answers, or why it was not asked, or is to be asked again.

        Raises:
            Exception: it may have made a change or not, or takes too long.
        """
        address = way.address or await self._master_of(slot)
        if address is None:
            return ClusterDownError("no master has the slot")
        way.asked = address
        if way.is_asking:
            call = call._replace(is_asking=True)
        self._silent_since.setdefault(address, time.monotonic())
        answer = await self._nodes.ask(address, call, with_text=way.with_text)
        if isinstance(answer, NotSentError):
            return answer.failure
        if isinstance(answer, bytes | ResponseError | BusyLoadingError):
            self._silent_since.pop(address, None)
            return answer
        if call.script.writes or isinstance(answer, TimeoutError | DriverTimeoutError):
            raise answer
        return answer

    def _redirect(self, slot: int, way: _Way, answer: Exception) -> tuple[float, bool]:
        """Find out where a call goes that was not carried out.

        Returns:
            How many seconds it waits before, and whether to look at the whole cluster again.

        Raises:
            Exception: it goes nowhere.
        """
        host, _ = asked = way.asked
        was_asking, way.address, way.is_asking, way.with_text = way.is_asking, None, False, False
        way.tries += 1
        pause = _PAUSE_OF_A_TRY * way.tries if way.tries > _QUICK_TRIES else 0
        match answer:
            case NoScriptError():
                way.address, way.is_asking, way.with_text = asked, was_asking, True
            case MovedError():
                self._masters[slot] = _address_in(answer, host)
                return min(pause, _PAUSE), time.monotonic() > self._looked_at + _BETWEEN_REDIRECTS
            case AskError():
                way.address, way.is_asking = _address_in(answer, host), True
            case TryAgainError():
                pause = _PAUSE_OF_A_TRY * way.tries
            case AuthenticationError():
                raise answer
            case (
                ClusterDownError()
                | BusyLoadingError()
                | ReadOnlyError()
                | DriverConnectionError()
                | DriverTimeoutError()
                | OSError()
            ):
                return _PAUSE, True
            case _:
                raise answer
        return min(pause, _PAUSE), False

    async def _master_of(self, slot: int) -> Address | None:
        master = self._masters[slot]
        if master is None or self._is_to_be_doubted(master):
            await self._look(self._looks)
            master = self._masters[slot]
        return master

    def _is_to_be_doubted(self, master: Address) -> bool:
        since = self._silent_since.get(master)
        return since is not None and max(since, self._looked_at) < time.monotonic() - _SILENCE

    async def _look(self, looks: int) -> None:
        """Find out which master has which slot, unless somebody has done so since there were so many looks."""
        async with self._nodes.turn():
            if self._looks != looks:
                return
            pause = self._looked_at + _BETWEEN_LOOKS - time.monotonic()
            if pause > 0:
                await self._nodes.sleep(pause)
            self._looked_at = time.monotonic()
            try:
                await self._look_around()
            except (RedisError, OSError):
                self._looks += 1
                raise
            self._looks += 1

    async def _look_around(self) -> None:
        """Go by the node that knows of most slots. One that was taken out of the cluster knows of none."""
        since, latest = self._silent_since, time.monotonic() - _SILENCE
        silent = {address for address in since if since[address] < latest}
        known = list({master for master in self._masters if master is not None})
        random.shuffle(known)
        known.sort(key=silent.__contains__)
        failure: Exception | None = None
        most = 0
        for address in dict.fromkeys([*known, *self._seeds]):
            try:
                shards = await self._nodes.shards(address)
            except (RedisError, OSError) as error:
                failure = error
                continue
            if shards is None:
                self._take_for_single(address)
                return
            count = sum(last + 1 - first for first, last, _ in shards)
            if count > most:
                most, self._masters = count, _masters_in(shards)
            if count == SLOTS:
                break
        if most:
            masters = set(filter(None, self._masters))
            for address in since.keys() - masters:
                since.pop(address, None)
            await self._nodes.leave(masters, silent)
        elif isinstance(failure, (AuthenticationError, ResponseError)):
            raise failure

    def _take_for_single(self, address: Address) -> None:
        """Take a server that is none of a cluster for one that has all slots.

        Raises:
            ConfigurationError: there are others.
        """
        if len(self._seeds) > 1:
            raise ConfigurationError("ClusterRedisStore was given several servers that are no cluster")
        self._masters = [address] * SLOTS


def _masters_in(shards: Sequence[Shard]) -> list[Address | None]:
    masters: list[Address | None] = [None] * SLOTS
    for first, last, master in shards:
        masters[first : last + 1] = [master] * (last + 1 - first)
    return masters


def _address_in(redirection: Any, asked: str) -> Address:
    """Return where a node sends a call."""
    return host_in(redirection.host, asked), int(redirection.port)


def host_in(named: str, asked: str) -> str:
    """Return the host that a node names, which may be the one that was asked, at another port."""
    return asked if named in {"", "?"} else named
