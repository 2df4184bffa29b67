"""`store_machine`: two clients of one store do what hypothesis comes up with, and calls fail. Needs hypothesis.

A test module of a store has

    class TestMyStoreMachine(store_machine(open_twice).TestCase):
        pass
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from attrs import evolve, frozen
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from typing_extensions import override

from typed_sessions.errors import StoreUnavailableError
from typed_sessions.stores.base import Conflict, Lifetime, PlacedStore, Record, SessionStore, WriteRequest
from typed_sessions.testing.manual_clock import ManualClock
from typed_sessions.testing.store_model import Model, Step

__all__ = ["BreakOff", "OpenTwice", "store_machine"]

OpenTwice: TypeAlias = Callable[[Callable[[], float]], AbstractAsyncContextManager[tuple[SessionStore, SessionStore]]]
"""Opens two clients of one fresh and empty store, which goes by the clock that is given."""

BreakOff: TypeAlias = Callable[[SessionStore, int | None], None]
"""Has a store ask its server so often, and then raise StoreUnavailableError; None lets it ask for ever again."""

_Failure: TypeAlias = Literal["before", "after"]

_MOST_WORLDS: Final = 16
_NOTHING: Final = timedelta(0)
_MICROSECOND: Final = timedelta(microseconds=1)
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)

# What keeps a machine going is there more than once.
_WHOSE: Final = {digit * 64: subject for digit, subject in (("0", None), ("a", "7"), ("f", "8"))}
"""All keys, and whose record each may be in a store that keeps the records of a subject together."""
_KEYS: Final = st.sampled_from([*_WHOSE])
_UPDATES_AGO: Final = st.sampled_from([0, 0, 0, 1, 2])
_SUBJECTS: Final = st.sampled_from(["7", "8"])
_CLIENTS: Final = st.sampled_from([0, 1])
_LIFETIMES: Final = st.builds(Lifetime, st.sampled_from([_HOUR, _HOUR, _MINUTE]), st.sampled_from([None, 2 * _HOUR]))
_SPANS: Final = st.sampled_from([_MICROSECOND, _MICROSECOND, _MICROSECOND, _MINUTE, _MINUTE, _HOUR / 2, _HOUR, _DAY])
_PAUSES: Final = st.sampled_from([_NOTHING, _MICROSECOND, _MINUTE / 2])
_SINCE: Final = st.sampled_from([_NOTHING, _NOTHING, _NOTHING, _MICROSECOND, _MINUTE, _DAY, 2 * _DAY, None])


@frozen
class _Wish:
    """What a request wants to write, as far as it does not depend on the time."""

    payload: bytes
    lifetime: Lifetime
    subject: str | None
    since: timedelta | None
    """How long ago the request learned whose session it is."""
    restart: bool
    device: str | None

    def written(self, now: datetime) -> WriteRequest:
        as_of = None if self.since is None else now - self.since
        return WriteRequest(self.payload, self.lifetime, self.subject, as_of, self.restart, self.device)


_WISHES: Final = st.builds(
    _Wish, st.binary(max_size=4), _LIFETIMES, st.none() | _SUBJECTS, _SINCE, st.booleans(), st.none() | st.just("a tin")
)


class _StoreMachine(RuleBasedStateMachine):
    """Compares a store with the model, call by call."""

    def __init__(self, open_twice: OpenTwice, break_off: BreakOff | None = None) -> None:
        super().__init__()
        self._break_off: Final = break_off
        self._calls: int | None = None
        """After so many calls of its server the store does not get through any more; None if it does."""
        self._clock = ManualClock()
        self._model = Model(self._clock.now)
        self._versions: defaultdict[str, list[int]] = defaultdict(lambda: [0])
        """All that have been seen of each key."""
        self._failure: _Failure | None = None
        self._runner = asyncio.Runner()
        self._opened = open_twice(self._clock)
        self._stores = self._runner.run(self._opened.__aenter__())
        self._whose: Final = {_in_place(key, whose, self._stores[0]): whose for key, whose in _WHOSE.items()}
        self._keys: Final = dict(zip(_WHOSE, self._whose, strict=True))
        """Under which the store knows what the rules call otherwise."""

    @override
    def teardown(self) -> None:
        self._runner.run(_left(self._opened))
        self._runner.close()

    @rule(client=_CLIENTS, key=_KEYS, wish=_WISHES)
    def create(self, client: int, key: str, wish: _Wish) -> None:
        key = self._keys[key]
        written = self._written(wish, key)
        answer = self._right_answer(
            client, lambda store: store.create(key, written), lambda world: world.create(key, written)
        )
        self._wrote(key, answer)

    @rule(client=_CLIENTS, key=_KEYS)
    def load(self, client: int, key: str) -> None:
        key = self._keys[key]
        self._saw(key, self._right_answer(client, lambda store: store.load(key), lambda world: world.load(key)))

    @rule(client=_CLIENTS, key=_KEYS, updates_ago=_UPDATES_AGO, wish=_WISHES, elsewhere=st.none() | _KEYS)
    def update(self, client: int, key: str, updates_ago: int, wish: _Wish, elsewhere: str | None) -> None:
        target = None if elsewhere is None or elsewhere == key else self._keys[elsewhere]
        key, move_to = self._keys[key], target if target is not None and self._model.is_free(target) else None
        version = self._versions[key][-1 - updates_ago :][0]
        written = self._written(wish, move_to or key)
        answer = self._right_answer(
            client,
            lambda store: store.update(key, version, written, move_to=move_to),
            lambda world: world.update(key, version, written, move_to),
            move_to,
        )
        self._wrote(move_to or key, answer)
        if isinstance(answer, Conflict):
            self._saw(key, answer.present)

    @rule(client=_CLIENTS, key=_KEYS, lifetime=_LIFETIMES)
    def touch(self, client: int, key: str, lifetime: Lifetime) -> None:
        key = self._keys[key]
        self._right_answer(client, lambda store: store.touch(key, lifetime), lambda world: world.touch(key, lifetime))

    @rule(client=_CLIENTS, key=_KEYS, updates_ago=st.none() | _UPDATES_AGO)
    def delete(self, client: int, key: str, updates_ago: int | None) -> None:
        key = self._keys[key]
        version = None if updates_ago is None else self._versions[key][-1 - updates_ago :][0]
        self._right_answer(
            client, lambda store: store.delete(key, version=version), lambda world: world.delete(key, version)
        )

    @rule(client=_CLIENTS, subject=_SUBJECTS)
    def ids_of(self, client: int, subject: str) -> None:
        self._right_answer(client, lambda store: store.ids_of(subject), lambda world: world.ids_of(subject))

    @rule(client=_CLIENTS, subject=_SUBJECTS, spare=st.none() | _KEYS)
    def delete_subject(self, client: int, subject: str, spare: str | None) -> None:
        spare = None if spare is None else self._keys[spare]
        self._right_answer(
            client,
            lambda store: store.delete_subject(subject, spare=spare),
            lambda world: world.delete_subject(subject, spare),
        )

    @rule(client=_CLIENTS, limit=st.integers(1, 3))
    def delete_expired(self, client: int, limit: int) -> None:
        self._right_answer(client, lambda store: store.delete_expired(limit), lambda world: world.delete_expired(limit))

    @rule(client=_CLIENTS)
    def close(self, client: int) -> None:
        self._runner.run(self._stores[client].close())

    @rule(span=_SPANS)
    def pass_time(self, span: timedelta) -> None:
        self._clock.forward(span)
        self._model.pass_time(self._clock.now)

    @precondition(lambda self: len(self._model.worlds) < _MOST_WORLDS)
    @rule(failure=st.sampled_from(["before", "after"]))
    def fail(self, failure: _Failure) -> None:
        """Let the next call fail, before or after it took place."""
        self._failure = failure

    @precondition(lambda self: self._break_off is not None and len(self._model.worlds) < _MOST_WORLDS)
    @rule(client=_CLIENTS, key=_KEYS, elsewhere=_KEYS, wish=_WISHES, calls=st.integers(0, 3), span=_PAUSES)
    def break_off_a_move(  # noqa: PLR0917 - hypothesis gives them by name
        self, client: int, key: str, elsewhere: str, wish: _Wish, calls: int, span: timedelta
    ) -> None:
        """Let a move fail in its course, after so many calls."""
        self.create(client, key, wish)
        self.load(client, key)
        self._calls = calls
        self.update(client, key, 0, wish, elsewhere)
        self._calls = None
        self.pass_time(span)
        self.load(1 - client, elsewhere)

    def _right_answer(
        self,
        client: int,
        call: Callable[[SessionStore], Awaitable[object]],
        step: Step,
        target: str | None = None,
    ) -> object:
        """Make a call, compare its answer with what the model says, and return it; None if the call was to fail.

        Args:
            client: which of the two makes it.
            call: the call.
            step: the same, for the model.
            target: the key that a record gets by it. If it is broken off, it may be gone on its way.
        """
        try:
            answer = self._runner.run(self._called(call, self._stores[client]))
        except _InjectedError:
            self._model.failed(step)
            return None
        except _BrokenOffError:
            self._model.failed(step, target)
            return None
        self._model.answered(step, answer)
        return answer

    def _written(self, wish: _Wish, key: str) -> WriteRequest:
        """Return what a request wants that knows which records may have this key."""
        written = wish.written(self._clock.now)
        return evolve(written, subject=self._whose[key]) if isinstance(self._stores[0], PlacedStore) else written

    def _wrote(self, key: str, answer: object) -> None:
        if isinstance(answer, Record):
            assert answer.version not in self._versions[key], "a version has come again"
            self._versions[key].append(answer.version)

    def _saw(self, key: str, answer: object) -> None:
        if isinstance(answer, Record) and answer.version not in self._versions[key]:
            self._versions[key].append(answer.version)

    async def _called(self, call: Callable[[SessionStore], Awaitable[object]], store: SessionStore) -> object:
        if self._break_off is not None and self._calls is not None:
            calls, self._calls = self._calls, None
            self._break_off(store, calls)
            try:
                return await call(store)
            except StoreUnavailableError as error:
                raise _BrokenOffError from error
            finally:
                self._break_off(store, None)
        failure, self._failure = self._failure, None
        if failure == "before":
            raise _InjectedError
        answer = await call(store)
        if failure == "after":
            raise _InjectedError
        return answer


class _InjectedError(StoreUnavailableError):
    """The store is not to blame for this one."""


class _BrokenOffError(StoreUnavailableError):
    """The store was kept from going on."""


async def _left(opened: AbstractAsyncContextManager[object]) -> None:
    await opened.__aexit__(None, None, None)


def _in_place(key: str, whose: str | None, store: SessionStore) -> str:
    return key if whose is None or not isinstance(store, PlacedStore) else store.place_of(whose) + key[4:]


def store_machine(open_twice: OpenTwice, break_off: BreakOff | None = None) -> type[RuleBasedStateMachine]:
    """Return the machine for a store. Its `TestCase` is for pytest and unittest.

    Args:
        open_twice: opens the store.
        break_off: for a store that needs several steps to move a record, so that a move may fail between them.
    """

    class StoreMachine(_StoreMachine):
        def __init__(self) -> None:
            super().__init__(open_twice, break_off)

    return StoreMachine
