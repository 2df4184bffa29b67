"""`Router`: which node a call goes to, and where to next if that one does not have its slot.

It is written once, for event loops and for threads: what asks a node, and what waits, is a `Nodes`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, TypeAlias

from attrs import define, field, frozen
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

from typed_sessions.errors import ConfigurationError, StoreUnavailableError
from typed_sessions.stores.cluster.scripts import Script
from typed_sessions.stores.redis.calls import discreet

__all__ = ["Address", "Answer", "Argument", "Call", "Nodes", "NotSentError", "Router", "Shard", "answer_in", "wait_for"]

Address: TypeAlias = tuple[str, int]

Shard: TypeAlias = tuple[int, int, Address]
"""The first and the last slot, and the master that has them."""

Argument: TypeAlias = bytes | str | int

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


class NotSentError(Exception):
    """A node could not be reached: nothing was sent."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure: Final = failure
        """What the driver has raised."""


@frozen
class Call:
    """A script that is to run, and what it needs."""

    script: Script
    keys: Sequence[bytes] = field(repr=False)
    """All that it may read or write. They have one place, and so one slot."""
    arguments: Sequence[Argument] = field(repr=False)

    @property
    def slot(self) -> int:
        return key_slot(self.keys[0])

    @property
    def size(self) -> int:
        """About how many bytes it has."""
        return sum(len(each) for each in self.arguments if isinstance(each, bytes))

    def command(self, *, with_text: bool = False) -> tuple[Argument, ...]:
        """Return what a node is asked; with the text of the script, if it does not know that."""
        name, script = ("EVAL", self.script.text) if with_text else ("EVALSHA", self.script.digest)
        return (name, script, len(self.keys), *self.keys, *self.arguments)


Answer: TypeAlias = bytes | RedisError
"""What a node has answered: an error of its own is one, too."""


def wait_for(replicas: int, calls: Iterable[Call]) -> list[tuple[Argument, ...]]:
    """Return what a node is asked after calls, for it to answer when replicas have what they have changed."""
    if not replicas or not any(call.script.writes for call in calls):
        return []
    return [("WAIT", replicas, WAIT_MILLISECONDS)]


def answer_in(call: Call, answer: object, replicas: int, copies: object) -> Answer:
    """Return what a node has answered to a call.

    Args:
        call: what it was asked.
        answer: what it said.
        replicas: how many should have what was changed.
        copies: how many have it, if it was asked.
    """
    if isinstance(answer, RedisError):
        return answer
    if not isinstance(answer, bytes):
        return ResponseError("no answer of the session store's script")
    is_copied = not replicas or not call.script.writes or (isinstance(copies, int) and copies >= replicas)
    return answer if is_copied else ResponseError("written, but too few replicas have it")


class Nodes(Protocol):
    """What a router needs of its surroundings."""

    async def ask(self, address: Address, call: Call, *, asking: bool, with_text: bool) -> Answer:
        """Return what a node answers.

        Args:
            address: of the node.
            call: what it is asked.
            asking: whether it has to be told that the slot is on its way to it, on the same connection.
            with_text: whether it may lack the script. Of many calls that it is sent at once, one brings it.

        Raises:
            NotSentError: it was not asked.
            Exception: it may have been asked, and did not answer.
        """
        ...

    async def shards(self, address: Address) -> Sequence[Shard] | None:
        """Return what a node says of the cluster; None if it is none of a cluster.

        Raises:
            RedisError, OSError: it says nothing.
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
    asking: bool = False
    with_text: bool = False
    tries: int = 0
    asked: Address = ("", 0)
    """Where it went last."""


class Router:
    """Sends calls to the masters of a cluster.

    Once a call was sent, and neither answered nor redirected, nobody knows whether it took place: it is not sent again.

    Args:
        nodes: what asks a node, and waits.
        seeds: nodes that are known from the beginning.
    """

    def __init__(self, nodes: Nodes, seeds: Sequence[Address]) -> None:
        self._nodes: Final = nodes
        self._seeds: Final = seeds
        self._masters: list[Address | None] = [None] * SLOTS
        """Of each slot."""
        self._suspects: Final[set[Address]] = set()
        """Nodes that have not answered what they were sent: they may hang, and have been replaced."""
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
        """Return what a node answers, or why it was not asked."""
        try:
            way.asked = way.address or await self._master_of(slot)
            return await self._nodes.ask(way.asked, call, asking=way.asking, with_text=way.with_text)
        except NotSentError as error:
            return error.failure
        except BaseException:  # whoever waits may have no time left
            self._suspects.add(way.asked)
            raise

    def _redirect(self, slot: int, way: _Way, answer: Exception) -> tuple[float, bool]:
        """Find out where a call goes that was not carried out.

        Returns:
            How many seconds it waits before, and whether to look at the whole cluster again.

        Raises:
            Exception: it goes nowhere.
        """
        host, _ = asked = way.asked
        was_asking, way.address, way.asking, way.with_text = way.asking, None, False, False
        way.tries += 1
        pause = _PAUSE_OF_A_TRY * way.tries if way.tries > _QUICK_TRIES else 0
        match answer:
            case NoScriptError():
                way.address, way.asking, way.with_text = asked, was_asking, True
            case MovedError():
                self._masters[slot] = _address_in(answer, host)
                return pause, time.monotonic() > self._looked_at + _BETWEEN_REDIRECTS
            case AskError():
                way.address, way.asking = _address_in(answer, host), True
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

    async def _master_of(self, slot: int) -> Address:
        master = self._masters[slot]
        if master is None or master in self._suspects:
            await self._look(self._looks)
            self._suspects.discard(master or ("", 0))
            master = self._masters[slot]
        if master is None:
            raise NotSentError(ClusterDownError("no master has the slot"))
        return master

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
            finally:
                self._looks += 1

    async def _look_around(self) -> None:
        known = list({master for master in self._masters if master is not None})
        random.shuffle(known)
        known.sort(key=self._suspects.__contains__)
        failure: Exception | None = None
        for address in dict.fromkeys([*known, *self._seeds]):
            try:
                shards = await self._nodes.shards(address)
            except (RedisError, OSError) as error:
                failure = error
                continue
            if shards is None:
                self._take_for_single(address)
                return
            masters: list[Address | None] = [None] * SLOTS
            for first, last, master in shards:
                masters[first : last + 1] = [master] * (last + 1 - first)
            self._masters = masters
            return
        if isinstance(failure, (AuthenticationError, ResponseError)):
            raise failure

    def _take_for_single(self, address: Address) -> None:
        """Take a server that is none of a cluster for one that has all slots.

        Raises:
            ConfigurationError: there are others.
        """
        if len(self._seeds) > 1:
            raise ConfigurationError("ClusterRedisStore was given several servers that are no cluster")
        self._masters = [address] * SLOTS


def _address_in(redirection: Any, host: str) -> Address:
    """Return where a node sends a call, which may be another port of the host that was asked."""
    return str(redirection.host or host), int(redirection.port)
