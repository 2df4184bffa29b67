"""`StoreContract`: what `typed_sessions.stores.SessionStore` promises, sentence by sentence, as tests.

The tests are plain methods with asserts; they need no plugin. A test module of a store has

    class TestMyStore(StoreContract):
        @asynccontextmanager
        async def open(self, clock: Callable[[], float]) -> AsyncGenerator[SessionStore]:
            store = MyStore("mine://localhost", clock=clock)
            await store.delete_everything()
            yield store
            await store.close()

and pytest finds the rest. A store that says `never_waits = True` is asked without an event loop, and raced in many
threads, too. `store_machine` looks for what no single test does.
"""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from inspect import iscoroutinefunction
from itertools import count
from threading import Barrier
from types import SimpleNamespace
from typing import Any, ClassVar, Final, Protocol, TypeVar, cast

from attrs import evolve

from typed_sessions.server import THREAD
from typed_sessions.stores.base import (
    MOVES_KEPT,
    REVOCATIONS_KEPT,
    Conflict,
    Created,
    Exists,
    Found,
    Gone,
    Lifetime,
    Listed,
    Moved,
    PlacedStore,
    Record,
    Revoked,
    SessionStore,
    Updated,
    WriteRequest,
)
from typed_sessions.testing.manual_clock import ManualClock

__all__ = ["PlacedStoreContract", "StoreContract"]

_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_CENTURY: Final = timedelta(days=36_525)
_AN_HOUR: Final = Lifetime(_HOUR)
_FOREVER: Final = Lifetime(timedelta.max, timedelta.max)

_RIVALS: Final = 50
_LARGE: Final = 1 << 20
_MANY: Final = 300
"""More records than a store would handle in one go without meaning to."""

_ODD_SUBJECTS: Final = (
    "",
    " ",
    "7",
    "07",
    "A",
    "a",
    "a*",
    "a%",
    "a_",
    "a:b",
    "{a}",
    "'; --",
    "\\x",
    "line\nline",
    "Zo\u00eb",
    "Zoe\u0308",
    "\U0001f98a",
    "x" * 1000,
)
"""Each is another one than all others: nothing is normalized, none is a pattern."""

ContractT = TypeVar("ContractT", bound="StoreContract")
T = TypeVar("T")

_METHODS: Final = [name for name, value in vars(SessionStore).items() if iscoroutinefunction(value)]


class _Together(Protocol):
    """Makes calls at once, and returns their answers."""

    async def __call__(self, *calls: Coroutine[Any, Any, T]) -> Sequence[T]: ...


def _on_a_store(
    test: Callable[[ContractT, SessionStore, ManualClock], Coroutine[Any, Any, None]],
) -> Callable[[ContractT], None]:
    """Give a test a fresh store and its clock, and let it run in an event loop of its own."""

    def on_a_store(contract: ContractT) -> None:
        async def run() -> None:
            clock = ManualClock()
            async with contract.open(clock) as store:
                await test(contract, _driven(store), clock)

        asyncio.run(run())

    return _named_as(test, on_a_store)


def _raced(
    test: Callable[[ContractT, SessionStore, ManualClock, _Together], Coroutine[Any, Any, None]],
) -> Callable[[ContractT], None]:
    """Do the same for a test of many calls at once: in tasks; and in threads, if the store never waits for a loop."""

    def raced(contract: ContractT) -> None:
        async def run() -> None:
            clock = ManualClock()
            async with contract.open(clock) as store:
                await test(contract, store, clock, _in_tasks)
            if getattr(store, "never_waits", False):
                async with contract.open(clock) as store:
                    await test(contract, _driven(store), clock, _in_threads)

        asyncio.run(run())

    return _named_as(test, raced)


def _named_as(test: Callable[..., object], run: Callable[[ContractT], None]) -> Callable[[ContractT], None]:
    # No functools.wraps: pytest would take the parameters of the test itself for fixtures.
    run.__name__, run.__qualname__, run.__doc__ = test.__name__, test.__qualname__, test.__doc__
    return run


async def _in_tasks(*calls: Coroutine[Any, Any, T]) -> Sequence[T]:
    return await asyncio.gather(*calls)


async def _in_threads(*calls: Coroutine[Any, Any, T]) -> Sequence[T]:
    begin = Barrier(len(calls))

    def run(call: Coroutine[Any, Any, T]) -> T:
        begin.wait()
        return THREAD.run(call, call)

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def _driven(store: SessionStore) -> SessionStore:
    """Return a store that is asked as it is where there is no event loop, if it says that it can be."""
    if not getattr(store, "never_waits", False):
        return store

    def driven(name: str) -> Callable[..., Coroutine[Any, Any, object]]:
        async def call(*arguments: Any, **named: Any) -> object:
            return THREAD.run(getattr(store, name)(*arguments, **named), store)

        return call

    places = {"place_of": store.place_of} if isinstance(store, PlacedStore) else {}
    return cast("SessionStore", SimpleNamespace(**{name: driven(name) for name in _METHODS}, **places))


class StoreContract(ABC):
    """The tests that each store has to pass. A subclass says how to open one."""

    expires_by_itself: ClassVar[bool] = False
    """Whether records vanish without `delete_expired`, which then may return 0."""

    @abstractmethod
    def open(self, clock: Callable[[], float]) -> AbstractAsyncContextManager[SessionStore]:
        """Return what is entered for a fresh and empty store that goes by this clock, and left when it was used."""

    # Creating and loading

    @_on_a_store
    async def test_it_has_every_method(self, store: SessionStore, _: ManualClock) -> None:
        assert isinstance(store, SessionStore)

    @_on_a_store
    async def test_its_time_is_that_of_its_clock(self, store: SessionStore, clock: ManualClock) -> None:
        assert await store.now() == clock.now
        clock.forward(_MICROSECOND)
        assert await store.now() == clock.now
        assert (await store.now()).utcoffset() == timedelta(0)

    @_on_a_store
    async def test_a_created_record_is_loaded(self, store: SessionStore, clock: ManualClock) -> None:
        key = _key(store, "7")
        written = await _written(store, b"new", subject="7", device="a phone")
        record = _record(await store.create(key, written))
        assert record == Record(
            b"new",
            record.version,
            clock.now,
            clock.now,
            clock.now + _HOUR,
            as_of=clock.now,
            issued=clock.now,
            subject="7",
            device="a phone",
        )
        assert await store.load(key) == record

    @_on_a_store
    async def test_an_unknown_key_is_not_loaded(self, store: SessionStore, _: ManualClock) -> None:
        await store.create(_key(), WriteRequest(b"another", _AN_HOUR))
        assert await store.load(_key()) is None

    @_on_a_store
    async def test_a_load_changes_nothing_and_says_when_it_was(self, store: SessionStore, clock: ManualClock) -> None:
        key = _key()
        created = _record(await store.create(key, WriteRequest(b"1", _AN_HOUR)))
        clock.forward(_MINUTE + _MICROSECOND)
        loaded = _record(await store.load(key))
        assert loaded.as_of == clock.now
        assert _state(loaded) == _state(created)
        assert _state(await store.load(key)) == _state(created)

    @_on_a_store
    async def test_a_second_create_leaves_the_first(self, store: SessionStore, clock: ManualClock) -> None:
        key = _key(store, "7")
        first = _record(await store.create(key, WriteRequest(b"first", _AN_HOUR)))
        clock.forward(_MINUTE)
        assert await store.create(key, await _written(store, b"second", subject="7")) == Exists()
        assert _state(await store.load(key)) == _state(first)
        assert not await store.ids_of("7")

    @_on_a_store
    async def test_a_record_is_gone_when_it_expires(self, store: SessionStore, clock: ManualClock) -> None:
        key = _key()
        record = _record(await store.create(key, WriteRequest(b"", _AN_HOUR)))
        clock.forward(_HOUR - _MICROSECOND)
        assert await store.load(key)
        clock.forward(_MICROSECOND)
        assert clock.now == record.expires_at
        assert await store.load(key) is None

    @_on_a_store
    async def test_a_key_whose_record_expired_is_free(self, store: SessionStore, clock: ManualClock) -> None:
        key = _key(store, "7")
        first = _record(await store.create(key, await _written(store, b"first", subject="7")))
        clock.forward(_HOUR)
        other = _subject_beside(store, "7")
        second = _record(await store.create(key, await _written(store, b"second", subject=other)))
        assert second.version != first.version
        assert second.created == clock.now
        assert await store.load(key) == second
        assert await _keys_of(store, "7") == []
        assert await _keys_of(store, other) == [key]

    @_on_a_store
    async def test_the_absolute_end_applies_if_it_comes_first(self, store: SessionStore, clock: ManualClock) -> None:
        soon = _record(await store.create(_key(), WriteRequest(b"", Lifetime(_HOUR, _MINUTE))))
        late = _record(await store.create(_key(), WriteRequest(b"", Lifetime(_HOUR, 2 * _HOUR))))
        assert soon.expires_at == clock.now + _MINUTE
        assert late.expires_at == clock.now + _HOUR

    # Updating

    @_on_a_store
    async def test_an_update_replaces_a_record(self, store: SessionStore, clock: ManualClock) -> None:
        key = _key(store, "7")
        created = _record(await store.create(key, await _written(store, b"old", subject=_former(store, "7"))))
        clock.forward(_MINUTE)
        written = await _written(store, b"new", subject="7", lifetime=Lifetime(2 * _HOUR))
        updated = _record(await store.update(key, created.version, written))
        assert updated == Record(
            b"new",
            updated.version,
            created.created,
            clock.now,
            clock.now + 2 * _HOUR,
            as_of=clock.now,
            issued=created.issued,
            subject="7",
        )
        assert updated.version != created.version
        assert await store.load(key) == updated

    @_on_a_store
    async def test_an_update_of_another_version_gets_the_present_one(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        key = _key(store, "7")
        created = _record(await store.create(key, await _written(store, b"0", subject=_former(store, "7"))))
        first = _record(await store.update(key, created.version, await _written(store, b"1", subject="7")))
        clock.forward(_SECOND)
        answer = await store.update(key, created.version, WriteRequest(b"2", Lifetime(2 * _HOUR)))
        assert isinstance(answer, Conflict)
        assert answer.present == await store.load(key)
        assert answer.present.as_of == clock.now
        assert _state(answer.present) == _state(first)

    @_on_a_store
    async def test_an_update_makes_no_record(self, store: SessionStore, clock: ManualClock) -> None:
        unknown, deleted, expired = _key(store, "7"), _key(store, "7"), _key(store, "7")
        await store.create(deleted, WriteRequest(b"", _AN_HOUR))
        await store.delete(deleted)
        last = _record(await store.create(expired, WriteRequest(b"", _AN_HOUR)))
        clock.forward(_HOUR)
        for key in (unknown, deleted, expired):
            assert await store.update(key, last.version, await _written(store, b"", subject="7")) == Gone()
            assert await store.load(key) is None
        assert not await store.ids_of("7")

    @_on_a_store
    async def test_a_deleted_record_is_not_updated(self, store: SessionStore, _: ManualClock) -> None:
        key = _key()
        record = _record(await store.create(key, WriteRequest(b"", _AN_HOUR)))
        assert await store.delete(key)
        assert await store.update(key, record.version, WriteRequest(b"late", _AN_HOUR)) == Gone()
        assert await store.touch(key, _AN_HOUR) is None
        assert await store.load(key) is None

    @_on_a_store
    async def test_a_version_never_comes_again(self, store: SessionStore, _: ManualClock) -> None:
        key = _key()
        versions = list[int]()
        for _round in range(5):
            record = _record(await store.create(key, WriteRequest(b"", _AN_HOUR)))
            versions.append(record.version)
            for _update in range(3):
                record = _record(await store.update(key, record.version, WriteRequest(b"", _AN_HOUR)))
                versions.append(record.version)
            await store.delete(key)
        assert len(set(versions)) == len(versions)

    @_on_a_store
    async def test_an_update_for_a_former_record_of_the_key_is_refused(
        self, store: SessionStore, _: ManualClock
    ) -> None:
        key = _key()
        former = _record(await store.create(key, WriteRequest(b"former", _AN_HOUR)))
        await store.delete(key)
        present = await store.create(key, WriteRequest(b"present", _AN_HOUR))
        assert await store.update(key, former.version, WriteRequest(b"late", _AN_HOUR)) == Conflict(_record(present))

    @_on_a_store
    async def test_an_update_moves_the_end_both_ways(self, store: SessionStore, clock: ManualClock) -> None:
        key = _key()
        record = _record(await store.create(key, WriteRequest(b"", _AN_HOUR)))
        record = _record(await store.update(key, record.version, WriteRequest(b"", Lifetime(_MINUTE))))
        assert record.expires_at == clock.now + _MINUTE
        record = _record(await store.update(key, record.version, WriteRequest(b"", Lifetime(2 * _HOUR))))
        clock.forward(_HOUR)
        assert await store.load(key)

    @_on_a_store
    async def test_updates_do_not_put_off_the_absolute_end(self, store: SessionStore, clock: ManualClock) -> None:
        key, lifetime = _key(), Lifetime(_HOUR, 2 * _HOUR)
        created = record = _record(await store.create(key, WriteRequest(b"", lifetime)))
        for _half_hour in range(3):
            clock.forward(_HOUR / 2)
            record = _record(await store.update(key, record.version, WriteRequest(b"", lifetime)))
        assert record.created == created.created
        assert record.expires_at == created.created + 2 * _HOUR
        clock.forward(_HOUR / 2)
        assert await store.load(key) is None

    @_on_a_store
    async def test_a_restart_puts_off_the_absolute_end(self, store: SessionStore, clock: ManualClock) -> None:
        key, lifetime = _key(), Lifetime(2 * _HOUR, _HOUR)
        record = _record(await store.create(key, WriteRequest(b"", lifetime)))
        clock.forward(_HOUR / 2)
        record = _record(await store.update(key, record.version, WriteRequest(b"", lifetime, restart=True)))
        assert (record.created, record.expires_at) == (clock.now, clock.now + _HOUR)
        assert await store.load(key) == record

    # Moving

    @_on_a_store
    async def test_a_moved_record_has_the_new_key_alone(self, store: SessionStore, clock: ManualClock) -> None:
        old, new = _key(store, "7"), _key(store, "7")
        created = _record(await store.create(old, await _written(store, b"old", subject="7")))
        clock.forward(_MINUTE)
        moved = _record(
            await store.update(old, created.version, await _written(store, b"new", subject="7"), move_to=new)
        )
        assert moved.payload == b"new"
        assert (moved.created, moved.last_seen, moved.issued) == (created.created, clock.now, clock.now)
        assert moved.version != created.version
        assert await store.load(new) == moved
        assert await store.load(old) == Moved(new, moved_at=clock.now, as_of=clock.now)
        assert await _keys_of(store, "7") == [new]
        assert await store.update(new, moved.version, WriteRequest(b"", _AN_HOUR, "7")) != Gone()

    @_on_a_store
    async def test_it_is_known_for_a_while_where_a_record_has_moved(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        first, second, third = (_key() for _ in range(3))
        record = _record(await store.create(first, WriteRequest(b"", _AN_HOUR)))
        record = _record(await store.update(first, record.version, WriteRequest(b"", _AN_HOUR), move_to=second))
        moved_at = clock.now
        clock.forward(_MINUTE)
        await store.update(second, record.version, WriteRequest(b"", _AN_HOUR), move_to=third)
        await store.delete_expired()
        assert await store.load(first) == Moved(second, moved_at, as_of=clock.now)
        assert await store.load(second) == Moved(third, clock.now, as_of=clock.now)
        clock.forward(MOVES_KEPT - _MINUTE - _MICROSECOND)
        assert isinstance(await store.load(first), Moved)
        clock.forward(_MICROSECOND)
        assert await store.load(first) is None
        assert isinstance(await store.load(second), Moved)

    @_on_a_store
    async def test_what_ends_a_moved_record_leaves_word_of_the_move(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        old, new = _key(store, "7"), _key(store, "7")
        created = _record(await store.create(old, await _written(store, subject="7")))
        await store.update(old, created.version, await _written(store, subject="7"), move_to=new)
        await store.delete_subject("7")
        assert await store.load(new) is None
        assert await store.load(old) == Moved(new, clock.now, as_of=clock.now)
        assert not await store.delete(old)
        assert await store.load(old) == Moved(new, clock.now, as_of=clock.now)

    @_on_a_store
    async def test_a_move_that_is_refused_leaves_no_word(self, store: SessionStore, clock: ManualClock) -> None:
        old, new = _key(), _key(store, "7")
        created = _record(await store.create(old, WriteRequest(b"", _AN_HOUR)))
        before = WriteRequest(b"", _AN_HOUR, "7", clock.now)
        clock.forward(_MICROSECOND)
        await store.delete_subject("7")
        assert await store.update(old, created.version + 1, WriteRequest(b"", _AN_HOUR), move_to=new) == Conflict(
            _record(await store.load(old))
        )
        assert await store.update(old, created.version, before, move_to=new) == Revoked()
        assert _state(await store.load(old)) == _state(created)

    @_on_a_store
    async def test_a_record_may_have_a_key_from_which_another_moved(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        keys = old, new, other = _key(store, "7"), _key(store, "7"), _key(store, "7")
        record = _record(await store.create(old, WriteRequest(b"1", _AN_HOUR)))
        record = _record(await store.update(old, record.version, WriteRequest(b"2", _AN_HOUR), move_to=new))
        back = _record(await store.update(new, record.version, await _written(store, b"3", subject="7"), move_to=old))
        assert (await store.load(old), await store.load(new)) == (back, Moved(old, clock.now, as_of=clock.now))
        created = [_record(await store.create(key, await _written(store, b"4", subject="7"))) for key in (new, other)]
        assert [await store.load(key) for key in keys] == [back, *created]
        assert len(await store.ids_of("7")) == 3
        await store.delete(new)
        assert await store.load(new) is None

    @_on_a_store
    async def test_an_identifier_is_as_old_as_its_last_move(self, store: SessionStore, clock: ManualClock) -> None:
        old, new = _key(store, "7"), _key(store, "7")
        whose = _former(store, "7")
        record = created = _record(await store.create(old, await _written(store, subject=whose)))
        clock.forward(_MINUTE)
        for written in (
            WriteRequest(b"", _AN_HOUR, whose),
            await _written(store, subject="7"),
            WriteRequest(b"", _AN_HOUR, whose, restart=True),
        ):
            record = _record(await store.update(old, record.version, written))
            assert record.issued == created.issued
        assert _record(await store.touch(old, _AN_HOUR)).issued == created.issued
        record = _record(await store.update(old, record.version, WriteRequest(b"", _AN_HOUR, whose), move_to=new))
        assert record.issued == clock.now
        clock.forward(_MINUTE)
        assert await store.update(new, record.version, WriteRequest(b"", _AN_HOUR, whose)) == await store.load(new)
        assert _record(await store.load(new)).issued == record.issued

    @_on_a_store
    async def test_what_is_in_flight_does_not_bring_back_a_key_that_was_moved(
        self, store: SessionStore, _: ManualClock
    ) -> None:
        old, new = _key(), _key()
        created = _record(await store.create(old, WriteRequest(b"old", _AN_HOUR)))
        moved = _record(await store.update(old, created.version, WriteRequest(b"new", _AN_HOUR), move_to=new))
        for version in (created.version, moved.version):
            assert await store.update(old, version, WriteRequest(b"late", _AN_HOUR)) == Gone()
        assert await store.update(old, created.version, WriteRequest(b"", _AN_HOUR), move_to=_key()) == Gone()
        assert await store.touch(old, _AN_HOUR) is None
        assert not await store.delete(old)
        assert await store.load(new) == moved

    @_on_a_store
    async def test_a_move_may_restart_the_record(self, store: SessionStore, clock: ManualClock) -> None:
        old, new = _key(), _key()
        created = _record(await store.create(old, WriteRequest(b"", _AN_HOUR)))
        clock.forward(_MINUTE)
        written = WriteRequest(b"", _AN_HOUR, restart=True)
        assert _record(await store.update(old, created.version, written, move_to=new)).created == clock.now

    @_on_a_store
    async def test_a_move_of_another_version_is_refused(self, store: SessionStore, _: ManualClock) -> None:
        old, new = _key(), _key()
        created = _record(await store.create(old, WriteRequest(b"0", _AN_HOUR)))
        present = _record(await store.update(old, created.version, WriteRequest(b"1", _AN_HOUR)))
        answer = await store.update(old, created.version, WriteRequest(b"2", _AN_HOUR), move_to=new)
        assert answer == Conflict(present)
        assert await store.load(old) == present
        assert await store.load(new) is None

    @_on_a_store
    async def test_what_is_not_there_is_not_moved(self, store: SessionStore, clock: ManualClock) -> None:
        old, new = _key(), _key()
        expired = _record(await store.create(old, WriteRequest(b"", _AN_HOUR)))
        clock.forward(_HOUR)
        assert await store.update(old, expired.version, WriteRequest(b"", _AN_HOUR), move_to=new) == Gone()
        assert await store.load(new) is None

    @_on_a_store
    async def test_a_record_moves_to_a_key_whose_record_expired(self, store: SessionStore, clock: ManualClock) -> None:
        old, new = _key(), _key(store, "7")
        await store.create(new, await _written(store, b"expired", subject="7", lifetime=Lifetime(_MINUTE)))
        created = _record(await store.create(old, WriteRequest(b"", _AN_HOUR)))
        clock.forward(_MINUTE)
        moved = await store.update(old, created.version, WriteRequest(b"moved", _AN_HOUR), move_to=new)
        assert await store.load(new) == moved
        assert not await store.ids_of("7")

    @_on_a_store
    async def test_a_move_replaces_no_live_record(self, store: SessionStore, _: ManualClock) -> None:
        """What the store answers is its own affair: nobody may ask for it."""
        old, new = _key(), _key()
        created = _record(await store.create(old, WriteRequest(b"moving", _AN_HOUR)))
        present = await store.create(new, WriteRequest(b"present", _AN_HOUR))
        with suppress(Exception):
            await store.update(old, created.version, WriteRequest(b"", _AN_HOUR), move_to=new)
        assert await store.load(new) == present
        assert await store.load(old) == created

    # Touching

    @_on_a_store
    async def test_a_touch_changes_when_a_record_was_seen(self, store: SessionStore, clock: ManualClock) -> None:
        key = _key(store, "7")
        created = _record(await store.create(key, await _written(store, b"1", subject="7", device="a phone")))
        clock.forward(_MINUTE)
        touched = _record(await store.touch(key, Lifetime(2 * _HOUR)))
        assert touched == Record(
            b"1",
            created.version,
            created.created,
            clock.now,
            clock.now + 2 * _HOUR,
            as_of=clock.now,
            issued=created.issued,
            subject="7",
            device="a phone",
        )
        assert await store.load(key) == touched
        clock.forward(_HOUR)
        assert await store.load(key)

    @_on_a_store
    async def test_a_touched_record_is_updated_by_the_version_it_had(self, store: SessionStore, _: ManualClock) -> None:
        key = _key()
        created = _record(await store.create(key, WriteRequest(b"", _AN_HOUR)))
        await store.touch(key, _AN_HOUR)
        assert _record(await store.update(key, created.version, WriteRequest(b"new", _AN_HOUR))).payload == b"new"

    @_on_a_store
    async def test_a_touch_may_shorten_a_life(self, store: SessionStore, clock: ManualClock) -> None:
        key = _key()
        await store.create(key, WriteRequest(b"", _AN_HOUR))
        await store.touch(key, Lifetime(_MINUTE))
        clock.forward(_MINUTE)
        assert await store.load(key) is None

    @_on_a_store
    async def test_touches_do_not_put_off_the_absolute_end(self, store: SessionStore, clock: ManualClock) -> None:
        key, lifetime = _key(), Lifetime(_HOUR, _HOUR + 2 * _MINUTE)
        created = _record(await store.create(key, WriteRequest(b"", lifetime)))
        clock.forward(_HOUR / 2)
        touched = _record(await store.touch(key, lifetime))
        assert touched.expires_at == created.created + _HOUR + 2 * _MINUTE
        clock.forward(_HOUR / 2 + 2 * _MINUTE)
        assert await store.touch(key, lifetime) is None

    @_on_a_store
    async def test_a_record_that_is_older_than_its_new_absolute_lifetime_is_gone(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        touched, updated = _key(), _key()
        await store.create(touched, WriteRequest(b"", _AN_HOUR))
        record = _record(await store.create(updated, WriteRequest(b"", _AN_HOUR)))
        clock.forward(_MINUTE)
        await store.touch(touched, Lifetime(_HOUR, _SECOND))
        await store.update(updated, record.version, WriteRequest(b"", Lifetime(_HOUR, _SECOND)))
        assert await store.load(touched) is None
        assert await store.load(updated) is None

    @_on_a_store
    async def test_a_touch_makes_no_record(self, store: SessionStore, clock: ManualClock) -> None:
        unknown, expired = _key(), _key()
        await store.create(expired, WriteRequest(b"", _AN_HOUR))
        clock.forward(_HOUR)
        for key in (unknown, expired):
            assert await store.touch(key, _AN_HOUR) is None
            assert await store.load(key) is None

    # Deleting

    @_on_a_store
    async def test_a_deleted_record_is_gone(self, store: SessionStore, _: ManualClock) -> None:
        key = _key(store, "7")
        await store.create(key, await _written(store, subject="7"))
        assert await store.delete(key) is True
        assert await store.load(key) is None
        assert not await store.ids_of("7")
        assert await store.delete(key) is False

    @_on_a_store
    async def test_deleting_says_whether_a_live_one_was_there(self, store: SessionStore, clock: ManualClock) -> None:
        expired, other = _key(), _key()
        await store.create(expired, WriteRequest(b"", _AN_HOUR))
        clock.forward(_HOUR)
        await store.create(other, WriteRequest(b"", _AN_HOUR))
        assert await store.delete(_key()) is False
        assert await store.delete(expired) is False
        assert await store.load(other)

    @_on_a_store
    async def test_a_delete_of_another_version_leaves_the_record(self, store: SessionStore, _: ManualClock) -> None:
        key = _key(store, "7")
        first = _record(await store.create(key, await _written(store, subject="7")))
        second = _record(await store.update(key, first.version, await _written(store, subject="7")))
        assert await store.delete(key, version=first.version) is False
        assert await store.load(key) == second
        assert await _keys_of(store, "7") == [key]
        await store.touch(key, _AN_HOUR)
        assert await store.delete(key, version=second.version) is True
        assert await store.delete(key, version=second.version) is False
        assert not await store.ids_of("7")

    @_on_a_store
    async def test_a_delete_of_a_version_that_expired_finds_none(self, store: SessionStore, clock: ManualClock) -> None:
        key = _key()
        record = _record(await store.create(key, WriteRequest(b"", _AN_HOUR)))
        clock.forward(_HOUR)
        assert await store.delete(key, version=record.version) is False

    @_on_a_store
    async def test_a_deleted_key_may_be_created_again(self, store: SessionStore, _: ManualClock) -> None:
        key = _key()
        await store.create(key, WriteRequest(b"first", _AN_HOUR))
        await store.delete(key)
        second = _record(await store.create(key, WriteRequest(b"second", _AN_HOUR)))
        assert await store.load(key) == second

    @_on_a_store
    async def test_expired_records_are_deleted_up_to_a_limit(self, store: SessionStore, clock: ManualClock) -> None:
        for _expired in range(5):
            await store.create(_key(store, "7"), await _written(store, subject="7", lifetime=Lifetime(_MINUTE)))
        live = _key(store, "7")
        await store.create(live, await _written(store, subject="7"))
        clock.forward(_MINUTE)
        counts = [await store.delete_expired(3), await store.delete_expired(3), await store.delete_expired()]
        assert counts == [3, 2, 0] or (self.expires_by_itself and sum(counts) <= 5)
        assert await _keys_of(store, "7") == [live]
        assert await store.load(live)

    @_on_a_store
    async def test_what_was_touched_has_not_expired(self, store: SessionStore, clock: ManualClock) -> None:
        key = _key()
        await store.create(key, WriteRequest(b"", Lifetime(_MINUTE)))
        await store.touch(key, _AN_HOUR)
        clock.forward(_MINUTE)
        assert await store.delete_expired() == 0
        assert await store.load(key)

    # Subjects

    @_on_a_store
    async def test_the_records_of_a_subject_are_listed(self, store: SessionStore, clock: ManualClock) -> None:
        key = _key(store, "7")
        record = _record(await store.create(key, await _written(store, subject="7")))
        await store.create(_key(store, "8"), await _written(store, subject="8"))
        await store.create(_key(), WriteRequest(b"", _AN_HOUR))
        clock.forward(_MINUTE)
        record = _record(await store.touch(key, _AN_HOUR))
        assert list(await store.ids_of("7")) == [Listed(key, record.created, record.last_seen, record.expires_at)]
        assert list(await store.ids_of("9")) == []

    @_on_a_store
    async def test_a_list_shows_what_is_known_of_the_device(self, store: SessionStore, clock: ManualClock) -> None:
        for device in _ODD_SUBJECTS:
            key, moved_to = _key(store, device), _key(store, device)
            record = _record(await store.create(key, await _written(store, subject=device, device=device)))
            assert [listed.device for listed in await store.ids_of(device)] == [device]
            written = await _written(store, subject=device, device=f"{device}!")
            record = _record(await store.update(key, record.version, written, move_to=moved_to))
            assert [listed.device for listed in await store.ids_of(device)] == [record.device] == [f"{device}!"]
            record = _record(await store.update(moved_to, record.version, await _written(store, subject=device)))
            clock.forward(_MICROSECOND)
            assert _record(await store.load(moved_to)).device is None
            assert [listed.device for listed in await store.ids_of(device)] == [None]

    @_on_a_store
    async def test_what_was_seen_last_is_listed_first(self, store: SessionStore, clock: ManualClock) -> None:
        first, second, third = keys = [_key(store, "7") for _ in range(3)]
        records = dict[str, Record]()
        for key in keys:
            records[key] = _record(await store.create(key, await _written(store, subject="7")))
            clock.forward(_MICROSECOND)
        assert await _keys_of(store, "7") == [third, second, first]
        await store.touch(first, _AN_HOUR)
        assert await _keys_of(store, "7") == [first, third, second]
        clock.forward(_SECOND)
        await store.update(second, records[second].version, await _written(store, subject="7"))
        assert await _keys_of(store, "7") == [second, first, third]

    @_on_a_store
    async def test_what_has_expired_is_not_listed(self, store: SessionStore, clock: ManualClock) -> None:
        await store.create(_key(store, "7"), await _written(store, subject="7", lifetime=Lifetime(_MINUTE)))
        clock.forward(_MINUTE)
        assert list(await store.ids_of("7")) == []

    @_on_a_store
    async def test_a_record_leaves_the_list_of_its_former_subject(self, store: SessionStore, _: ManualClock) -> None:
        key = _key(store, "7")
        record = _record(await store.create(key, await _written(store, subject="7")))
        answer, key = await _given(store, key, record, await _written(store, subject="8"))
        assert (await _keys_of(store, "7"), await _keys_of(store, "8")) == ([], [key])
        answer, key = await _given(store, key, _record(answer), WriteRequest(b"", _AN_HOUR))
        record = _record(answer)
        assert record.subject is None
        assert await store.load(key) == record
        assert await _keys_of(store, "8") == []

    @_on_a_store
    async def test_a_record_that_was_anothers_is_not_ended_with_the_others(
        self, store: SessionStore, _: ManualClock
    ) -> None:
        old, new = _key(store, "7"), _key(store, "8")
        record = _record(await store.create(old, await _written(store, subject="7")))
        await store.update(old, record.version, await _written(store, subject="8"), move_to=new)
        await store.delete_subject("7")
        assert await store.load(new)

    @_on_a_store
    async def test_the_sessions_of_a_subject_are_ended(self, store: SessionStore, clock: ManualClock) -> None:
        keys = [_key(store, "7") for _ in range(3)]
        records = [_record(await store.create(key, await _written(store, subject="7"))) for key in keys]
        others, nobodys = _key(store, "8"), _key()
        await store.create(others, await _written(store, subject="8"))
        await store.create(nobodys, WriteRequest(b"", _AN_HOUR))
        clock.forward(_MINUTE)
        assert await store.delete_subject("7") == clock.now
        for key, record in zip(keys, records, strict=True):
            assert await store.load(key) is None
            assert await store.update(key, record.version, await _written(store, subject="7")) == Gone()
            assert await store.touch(key, _AN_HOUR) is None
        assert not await store.ids_of("7")
        assert await store.load(others)
        assert await store.load(nobodys)

    @_on_a_store
    async def test_many_sessions_of_a_subject_are_ended(self, store: SessionStore, _: ManualClock) -> None:
        keys = [_key(store, "7") for _ in range(_MANY)]
        written = await _written(store, subject="7")
        await asyncio.gather(*(store.create(key, written) for key in keys))
        assert set(await _keys_of(store, "7")) == set(keys)
        await store.delete_subject("7", spare=keys[0])
        assert await _keys_of(store, "7") == [keys[0]]
        assert [await store.load(key) for key in keys[1:]] == [None] * (_MANY - 1)

    @_on_a_store
    async def test_the_spared_session_goes_on(self, store: SessionStore, clock: ManualClock) -> None:
        spared, other, new = _key(store, "7"), _key(store, "7"), _key(store, "7")
        before = await _written(store, subject="7")
        record = _record(await store.create(spared, before))
        await store.create(other, before)
        clock.forward(_MINUTE)
        await store.delete_subject("7", spare=spared)
        assert await store.load(other) is None
        assert _state(await store.load(spared)) == _state(record)
        assert await _keys_of(store, "7") == [spared]
        assert await store.touch(spared, _AN_HOUR)
        record = _record(await store.update(spared, record.version, before))
        record = _record(await store.update(spared, record.version, WriteRequest(b"", _AN_HOUR, "7")))
        moved = _record(await store.update(spared, record.version, before, move_to=new))
        assert await store.load(new) == moved
        await store.delete_subject("7")
        assert await store.load(new) is None

    @_on_a_store
    async def test_what_is_not_the_subjects_cannot_be_spared(self, store: SessionStore, _: ManualClock) -> None:
        mine, others = _key(store, "7"), _key(store, "8")
        await store.create(mine, await _written(store, subject="7"))
        await store.create(others, await _written(store, subject="8"))
        await store.delete_subject("7", spare=others)
        await store.delete_subject("9", spare=_key())
        assert await store.load(mine) is None
        assert await _keys_of(store, "8") == [others]
        assert not await store.ids_of("7")

    @_on_a_store
    async def test_every_subject_is_another(self, store: SessionStore, _: ManualClock) -> None:
        keys = {subject: _key(store, subject) for subject in _ODD_SUBJECTS}
        for subject, key in keys.items():
            assert _record(await store.create(key, await _written(store, subject=subject))).subject == subject
        for subject, key in keys.items():
            assert await _keys_of(store, subject) == [key]
            assert _record(await store.load(key)).subject == subject
            await store.delete_subject(subject)
            assert await store.load(key) is None

    # Revocations

    @_on_a_store
    async def test_what_is_older_than_a_revocation_is_not_created(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        before = await store.now()
        clock.forward(_MICROSECOND)
        revoked = await store.delete_subject("7")
        clock.forward(_SECOND)
        key = _key(store, "7")
        assert await store.create(key, WriteRequest(b"", _AN_HOUR, "7", before)) == Revoked()
        assert await store.load(key) is None
        assert not await store.ids_of("7")
        assert _record(await store.create(key, WriteRequest(b"", _AN_HOUR, "7", revoked))).subject == "7"
        _record(await store.create(_key(store, "7"), await _written(store, subject="7")))
        _record(await store.create(_key(store, "8"), WriteRequest(b"", _AN_HOUR, "8", before)))
        _record(await store.create(_key(), WriteRequest(b"", _AN_HOUR, None, before)))

    @_on_a_store
    async def test_what_is_older_than_a_revocation_does_not_become_the_subjects(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        old, new = _key(store, "8"), _key(store, "7")
        record = _record(await store.create(old, await _written(store, b"8", subject="8")))
        nobodys = _key()
        other = _record(await store.create(nobodys, WriteRequest(b"", _AN_HOUR)))
        before = WriteRequest(b"7", _AN_HOUR, "7", await store.now())
        clock.forward(_MICROSECOND)
        revoked = await store.delete_subject("7")
        assert (await _given(store, old, record, before))[0] == Revoked()
        assert await store.update(old, record.version, before, move_to=new) == Revoked()
        assert (await _given(store, nobodys, other, before))[0] == Revoked()
        assert _state(await store.load(old)) == _state(record)
        assert await store.load(new) is None
        assert (await _keys_of(store, "7"), await _keys_of(store, "8")) == ([], [old])
        after = WriteRequest(b"7", _AN_HOUR, "7", revoked)
        assert _record(await store.update(old, record.version, after, move_to=new)).subject == "7"

    @_on_a_store
    async def test_a_session_may_leave_a_subject_whatever_was_ended(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        key = _key(store, "7")
        record = _record(await store.create(key, await _written(store, subject="7")))
        clock.forward(_SECOND)
        await store.delete_subject("7", spare=key)
        answer, key = await _given(store, key, record, WriteRequest(b"", _AN_HOUR))
        back = WriteRequest(b"", _AN_HOUR, "7", _record(answer).created)
        assert (await _given(store, key, _record(answer), back))[0] == Revoked()

    @_on_a_store
    async def test_nobody_becomes_a_subjects_who_does_not_say_since_when(
        self, store: SessionStore, _: ManualClock
    ) -> None:
        written = WriteRequest(b"", _AN_HOUR, "7")
        assert await store.create(_key(store, "7"), written) == Revoked()
        key = _key()
        record = _record(await store.create(key, WriteRequest(b"", _AN_HOUR)))
        assert (await _given(store, key, record, written))[0] == Revoked()
        assert not await store.ids_of("7")

    @_on_a_store
    async def test_what_is_older_than_any_revocation_kept_is_refused(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        key = _key()
        record = _record(await store.create(key, WriteRequest(b"", _FOREVER)))
        written = await _written(store, subject="7")
        clock.forward(REVOCATIONS_KEPT)
        _record(await store.create(_key(store, "7"), written))
        clock.forward(_MICROSECOND)
        assert await store.create(_key(store, "7"), written) == Revoked()
        assert (await _given(store, key, record, written))[0] == Revoked()

    @_on_a_store
    async def test_a_revocation_is_kept_as_long_as_it_matters(self, store: SessionStore, clock: ManualClock) -> None:
        before = await _written(store, subject="7")
        clock.forward(_SECOND)
        await store.delete_subject("7")
        clock.forward(REVOCATIONS_KEPT - 2 * _SECOND)
        await store.delete_expired()
        await store.delete_subject("8")
        assert await store.create(_key(store, "7"), before) == Revoked()
        clock.forward(2 * REVOCATIONS_KEPT)
        await store.delete_expired()
        assert await store.create(_key(store, "7"), before) == Revoked()
        _record(await store.create(_key(store, "7"), await _written(store, subject="7")))

    @_on_a_store
    async def test_the_latest_revocation_counts(self, store: SessionStore, clock: ManualClock) -> None:
        await store.delete_subject("7")
        clock.forward(_SECOND)
        between = await _written(store, subject="7")
        _record(await store.create(_key(store, "7"), between))
        clock.forward(_SECOND)
        await store.delete_subject("7")
        assert await store.create(_key(store, "7"), between) == Revoked()

    @_on_a_store
    async def test_a_clock_that_is_set_back_locks_nobody_out(self, store: SessionStore, clock: ManualClock) -> None:
        key, nobodys = _key(store, "7"), _key()
        await store.delete_subject("7")
        clock.forward(-_HOUR)
        assert _record(await store.create(key, await _written(store, subject="7"))).subject == "7"
        record = _record(await store.create(nobodys, WriteRequest(b"", _AN_HOUR)))
        answer, _ = await _given(store, nobodys, record, await _written(store, subject="7"))
        assert _record(answer).subject == "7"
        before = await _written(store, subject="7")
        clock.forward(_MICROSECOND)
        assert await store.delete_subject("7") == clock.now
        assert await store.load(key) is None
        assert await store.create(_key(store, "7"), before) == Revoked()
        _record(await store.create(_key(store, "7"), await _written(store, subject="7")))

    @_on_a_store
    async def test_a_login_by_the_former_clock_does_not_outlive_a_revocation(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        before = await _written(store, subject="7")
        clock.forward(_SECOND)
        await store.delete_subject("7")
        clock.forward(-_HOUR)
        assert await store.create(_key(store, "7"), before) == Revoked()

    @_on_a_store
    async def test_a_clock_that_goes_back_a_little_lets_no_login_through(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        before = await _written(store, subject="7")
        clock.forward(_SECOND)
        await store.delete_subject("7")
        clock.forward(-_SECOND / 2)
        assert await store.create(_key(store, "7"), before) == Revoked()
        clock.forward(_SECOND / 2)
        _record(await store.create(_key(store, "7"), await _written(store, subject="7")))

    # What goes in

    @_on_a_store
    async def test_every_payload_comes_back(self, store: SessionStore, _: ManualClock) -> None:
        for payload in (b"", b"\0", bytes(range(256)), b"\xff\xfe", b"\r\n", secrets.token_bytes(_LARGE)):
            key = _key()
            record = _record(await store.create(key, WriteRequest(payload, _AN_HOUR)))
            assert _record(await store.load(key)).payload == payload
            _record(await store.update(key, record.version, WriteRequest(payload[::-1], _AN_HOUR)))
            assert _record(await store.load(key)).payload == payload[::-1]

    @_on_a_store
    async def test_a_lifetime_may_be_as_long_as_it_can_be(self, store: SessionStore, clock: ManualClock) -> None:
        key = _key(store, "7")
        for lifetime in (Lifetime(timedelta.max), Lifetime(_CENTURY, timedelta.max), _FOREVER):
            key = _key(store, "7")
            record = _record(await store.create(key, await _written(store, subject="7", lifetime=lifetime)))
            assert record.expires_at >= clock.now + _CENTURY
            assert await store.touch(key, lifetime) == record
            record = _record(
                await store.update(key, record.version, await _written(store, subject="7", lifetime=lifetime))
            )
            assert await store.load(key) == record
        assert len(await store.ids_of("7")) == 3

    # All at once

    @_raced
    async def test_of_many_updates_of_one_version_one_wins(
        self, store: SessionStore, _: ManualClock, together: _Together
    ) -> None:
        key = _key()
        record = _record(await store.create(key, WriteRequest(b"", _AN_HOUR)))
        written = [WriteRequest(bytes([rival]), _AN_HOUR) for rival in range(_RIVALS)]
        answers = await together(*(store.update(key, record.version, one) for one in written))
        (winner,) = (answer for answer in answers if isinstance(answer, Record))
        assert winner.payload == written[answers.index(winner)].payload
        assert [answer for answer in answers if answer is not winner] == [Conflict(winner)] * (_RIVALS - 1)
        assert await store.load(key) == winner

    @_raced
    async def test_of_many_creates_of_one_key_one_wins(
        self, store: SessionStore, _: ManualClock, together: _Together
    ) -> None:
        key = _key()
        answers = await together(
            *(store.create(key, WriteRequest(bytes([rival]), _AN_HOUR)) for rival in range(_RIVALS))
        )
        (winner,) = (answer for answer in answers if isinstance(answer, Record))
        assert answers.count(Exists()) == _RIVALS - 1
        assert await store.load(key) == winner

    @_raced
    async def test_of_many_moves_of_one_version_one_wins(
        self, store: SessionStore, _: ManualClock, together: _Together
    ) -> None:
        old, keys = _key(store, "7"), [_key(store, "7") for _ in range(_RIVALS)]
        record = _record(await store.create(old, await _written(store, subject="7")))
        written = await _written(store, subject="7")
        answers = await together(*(store.update(old, record.version, written, move_to=key) for key in keys))
        (winner,) = (key for key, answer in zip(keys, answers, strict=True) if isinstance(answer, Record))
        assert answers.count(Gone()) == _RIVALS - 1
        assert await _keys_of(store, "7") == [winner]
        assert [key for key in keys if await store.load(key)] == [winner]
        moved = await store.load(old)
        assert isinstance(moved, Moved)
        assert moved.target == winner

    @_raced
    async def test_of_many_deletes_one_was_it(self, store: SessionStore, _: ManualClock, together: _Together) -> None:
        key = _key()
        await store.create(key, WriteRequest(b"", _AN_HOUR))
        assert sum(await together(*(store.delete(key) for _ in range(_RIVALS)))) == 1

    @_raced
    async def test_many_records_are_written_at_once(
        self, store: SessionStore, _: ManualClock, together: _Together
    ) -> None:
        keys = [_key() for _ in range(_RIVALS)]
        answers = await together(*(store.create(key, WriteRequest(key.encode(), _AN_HOUR)) for key in keys))
        assert await together(*map(store.load, keys)) == answers

    @_raced
    async def test_a_delete_wins_over_whatever_is_in_flight(
        self, store: SessionStore, _: ManualClock, together: _Together
    ) -> None:
        for _round in range(10):
            key = _key()
            record = _record(await store.create(key, WriteRequest(b"", _AN_HOUR)))
            await together(
                store.touch(key, _AN_HOUR),
                store.update(key, record.version, WriteRequest(b"late", _AN_HOUR)),
                store.delete(key),
                store.update(key, record.version, WriteRequest(b"later", _AN_HOUR)),
                store.touch(key, _AN_HOUR),
            )
            assert await store.load(key) is None

    @_raced
    async def test_touches_in_flight_leave_an_update_as_it_is(
        self, store: SessionStore, _: ManualClock, together: _Together
    ) -> None:
        key = _key()
        record = _record(await store.create(key, WriteRequest(b"old", _AN_HOUR)))
        touches = [store.touch(key, _AN_HOUR) for _ in range(_RIVALS)]
        updated, *_touched = await together(store.update(key, record.version, WriteRequest(b"new", _AN_HOUR)), *touches)
        assert await store.load(key) == updated

    @_raced
    async def test_no_login_in_flight_outlives_a_revocation(
        self, store: SessionStore, clock: ManualClock, together: _Together
    ) -> None:
        written = await _written(store, subject="7")
        clock.forward(_MICROSECOND)
        keys = [_key(store, "7") for _ in range(_RIVALS)]
        creates = [store.create(key, written) for key in keys]
        await together(*creates[: _RIVALS // 2], store.delete_subject("7"), *creates[_RIVALS // 2 :])
        assert not await store.ids_of("7")
        assert await together(*map(store.load, keys)) == [None] * _RIVALS

    # Closing and cancelling

    @_on_a_store
    async def test_a_closed_store_opens_again(self, store: SessionStore, _: ManualClock) -> None:
        key = _key()
        await store.close()
        record = await store.create(key, WriteRequest(b"", _AN_HOUR))
        await store.close()
        await store.close()
        assert await store.load(key) == record
        assert await store.delete(key)

    @_on_a_store
    async def test_another_event_loop_may_use_a_store_that_was_closed(
        self, store: SessionStore, _: ManualClock
    ) -> None:
        key = _key()
        record = await store.create(key, WriteRequest(b"", _AN_HOUR))
        await store.close()

        async def elsewhere() -> Found:
            found = await store.load(key)
            await store.touch(key, _AN_HOUR)
            await store.close()
            return found

        assert await asyncio.to_thread(lambda: asyncio.run(elsewhere())) == record
        assert await store.load(key) == record

    @_on_a_store
    async def test_a_store_is_as_usable_after_cancelled_calls(self, store: SessionStore, _: ManualClock) -> None:
        key = _key()
        record = _record(await store.create(key, WriteRequest(b"old", _AN_HOUR)))
        new = WriteRequest(b"new", _AN_HOUR)
        for steps in range(25):
            calls: list[Coroutine[Any, Any, Created | Updated | Found]] = [
                store.load(key),
                store.update(key, record.version, new),
                store.create(_key(), new),
                store.touch(key, _AN_HOUR),
            ]
            tasks = [asyncio.create_task(call) for call in calls]
            for _step in range(steps):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            found = await asyncio.gather(*(store.load(key) for _ in range(_RIVALS)))
            assert {(_record(one).payload, _record(one).version == record.version) for one in found} <= {
                (b"old", True),
                (b"new", False),
            }
        present = _record(await store.load(key))
        answer = await store.update(key, present.version, WriteRequest(b"last", _AN_HOUR))
        if isinstance(answer, Conflict):  # one that was cancelled took place meanwhile: the only one that could
            assert (answer.present.payload, present.payload) == (b"new", b"old")
            answer = await store.update(key, answer.present.version, WriteRequest(b"last", _AN_HOUR))
        assert _record(answer).payload == b"last"


class PlacedStoreContract(StoreContract):
    """The tests that each store has to pass that keeps the records of a subject together."""

    @_on_a_store
    async def test_a_place_is_four_digits_and_stays_the_same(self, store: SessionStore, _: ManualClock) -> None:
        place_of = cast("PlacedStore", store).place_of
        for subject in ("", "7", "shop:7", "\ud800", "ä" * 1000):
            place = place_of(subject)
            assert len(place) == 4
            assert set(place) <= set("0123456789abcdef")
            assert place_of(subject) == place
        assert len({place_of(str(number)) for number in range(_RIVALS)}) > 1

    @_on_a_store
    async def test_every_place_has_a_time(self, store: SessionStore, clock: ManualClock) -> None:
        assert await cast("PlacedStore", store).now("7") == clock.now

    @_on_a_store
    async def test_a_record_outside_its_subjects_place_is_an_error(self, store: SessionStore, _: ManualClock) -> None:
        place = cast("PlacedStore", store).place_of("7")
        elsewhere, nobodys = ("0" if place[0] != "0" else "1") + _key(store)[1:], _key(store)
        write = await _written(store, b"7", subject="7")
        record = _record(await store.create(nobodys, WriteRequest(b"", _AN_HOUR)))
        await _raises(store.create(elsewhere, write))
        await _raises(store.update(nobodys, record.version, write, move_to=elsewhere))
        assert await store.load(elsewhere) is None
        assert _record(await store.load(nobodys)).version == record.version
        assert not await store.ids_of("7")

    @_on_a_store
    async def test_another_subject_without_another_key_is_an_error(self, store: SessionStore, _: ManualClock) -> None:
        beside = _subject_beside(store, "7")
        mine, nobodys = _key(store, "7"), _key(store, "7")
        records = {
            mine: _record(await store.create(mine, await _written(store, subject="7"))),
            nobodys: _record(await store.create(nobodys, WriteRequest(b"", _AN_HOUR))),
        }
        for key, subject in ((mine, None), (mine, beside), (mine, "8"), (nobodys, "7")):
            write = await _written(store, b"new", subject=subject)
            await _raises(store.update(key, records[key].version, write))
            assert _record(await store.load(key)).version == records[key].version
        assert (await _keys_of(store, "7"), await _keys_of(store, beside), await _keys_of(store, "8")) == (
            [mine],
            [],
            [],
        )

    @_on_a_store
    async def test_a_record_goes_from_place_to_place(self, store: SessionStore, clock: ManualClock) -> None:
        beside, key, whose = _subject_beside(store, "7"), _key(store), None
        record = _record(await store.create(key, WriteRequest(b"0", _AN_HOUR)))
        for subject in ("7", "8", "8", beside, "7", None, None, "7"):
            clock.forward(_MICROSECOND)
            former, key = key, _key(store, subject)
            write = await _written(store, record.payload + b".", subject=subject, device="a tin")
            record = _record(await store.update(former, record.version, write, move_to=key))
            assert (record.payload, record.subject, record.device) == (write.payload, subject, "a tin")
            assert (record.issued, record.last_seen, record.as_of) == (clock.now, clock.now, clock.now)
            assert await store.load(key) == record
            assert await store.load(former) == Moved(key, clock.now, as_of=clock.now)
            for other in {whose, subject, "7", "8", beside} - {None}:
                assert await _keys_of(store, str(other)) == ([key] if other == subject else [])
            whose = subject
        assert await store.delete_subject("7") == clock.now
        assert await store.load(key) is None

    @_raced
    async def test_of_many_moves_to_many_places_one_wins(
        self, store: SessionStore, _: ManualClock, together: _Together
    ) -> None:
        old = _key(store)
        record = _record(await store.create(old, WriteRequest(b"", _AN_HOUR)))
        targets = {_key(store, name): await _written(store, subject=name) for name in map(str, range(_RIVALS))}
        answers = await together(
            *(store.update(old, record.version, write, move_to=key) for key, write in targets.items())
        )
        (winner,) = (key for key, answer in zip(targets, answers, strict=True) if isinstance(answer, Record))
        assert answers.count(Gone()) == _RIVALS - 1
        assert [key for key in targets if await store.load(key) is not None] == [winner]
        assert [key for name in map(str, range(_RIVALS)) for key in await _keys_of(store, name)] == [winner]
        moved = await store.load(old)
        assert isinstance(moved, Moved)
        assert moved.target == winner

    @_raced
    async def test_a_log_out_ends_a_session_that_moves_or_says_that_it_moved(
        self, store: SessionStore, _: ManualClock, together: _Together
    ) -> None:
        for _round in range(10):
            old, new = _key(store), _key(store, "7")
            record = _record(await store.create(old, WriteRequest(b"", _AN_HOUR)))
            write = await _written(store, subject="7")
            moved, deleted = await together(store.update(old, record.version, write, move_to=new), store.delete(old))
            assert isinstance(moved, Gone if deleted else Record)
            assert await store.load(old) == (None if deleted else Moved(new, record.as_of, as_of=record.as_of))
            assert await _keys_of(store, "7") == ([] if deleted else [new])
            await store.delete(new)

    @_raced
    async def test_a_change_that_was_acknowledged_moves_along(
        self, store: SessionStore, _: ManualClock, together: _Together
    ) -> None:
        for _round in range(10):
            old, new = _key(store), _key(store, "7")
            record = _record(await store.create(old, WriteRequest(b"old", _AN_HOUR)))
            write, change = await _written(store, b"moved", subject="7"), WriteRequest(b"changed", _AN_HOUR)
            moved, changed = await together(
                store.update(old, record.version, write, move_to=new), store.update(old, record.version, change)
            )
            assert {type(moved), type(changed)} in ({Record, Gone}, {Conflict, Record})
            present = moved.present if isinstance(moved, Conflict) else moved
            assert _record(present).payload == (b"changed" if isinstance(changed, Record) else b"moved")
            assert await _keys_of(store, "7") == ([new] if isinstance(moved, Record) else [])
            await store.delete(new)

    @_raced
    async def test_no_login_on_its_way_between_places_outlives_a_revocation(
        self, store: SessionStore, clock: ManualClock, together: _Together
    ) -> None:
        write = await _written(store, subject="7")
        clock.forward(_MICROSECOND)
        keys = {_key(store): _key(store, "7") for _ in range(_RIVALS)}
        records = {key: _record(await store.create(key, WriteRequest(b"", _AN_HOUR))) for key in keys}
        moves = [store.update(old, records[old].version, write, move_to=new) for old, new in keys.items()]
        half = _RIVALS // 2
        answers = await together(*moves[:half], store.delete_subject("7"), *moves[half:])
        assert not await store.ids_of("7")
        assert await together(*map(store.load, keys.values())) == [None] * _RIVALS
        assert {type(answer) for answer in answers} <= {Record, Revoked, type(clock.now)}


def _key(store: SessionStore | None = None, subject: str | None = None) -> str:
    """Return one that nobody has, for a record of a subject."""
    key = secrets.token_hex(32)
    return key if subject is None or not isinstance(store, PlacedStore) else store.place_of(subject) + key[4:]


def _former(store: SessionStore, subject: str) -> str | None:
    """Return whose a record may be that is to be a subject's without a move."""
    return subject if isinstance(store, PlacedStore) else None


def _subject_beside(store: SessionStore, subject: str) -> str:
    """Return another one, whose records may have the same keys."""
    others = (str(number) for number in count(8))
    if not isinstance(store, PlacedStore):
        return next(others)
    place = store.place_of(subject)
    return next(other for other in others if store.place_of(other) == place)


async def _given(store: SessionStore, key: str, record: Record, write: WriteRequest) -> tuple[Updated, str]:
    """Make a record another subject's: by a move, if it takes one. Return the answer, and the key that it has then."""
    target = _key(store, write.subject) if isinstance(store, PlacedStore) else None
    return await store.update(key, record.version, write, move_to=target), target or key


async def _written(
    store: SessionStore,
    payload: bytes = b"",
    *,
    subject: str | None,
    lifetime: Lifetime = _AN_HOUR,
    device: str | None = None,
) -> WriteRequest:
    """Return what a request wants that knows from now on whose session it is."""
    now = await (store.now(subject) if isinstance(store, PlacedStore) else store.now())
    return WriteRequest(payload, lifetime, subject, as_of=now, device=device)


def _record(answer: Created | Updated | Found) -> Record:
    """Return the record that was made, changed or found."""
    assert isinstance(answer, Record), answer
    return answer


def _state(answer: Found) -> Record:
    """Return all of a record but when it was answered."""
    record = _record(answer)
    return evolve(record, as_of=record.created)


async def _keys_of(store: SessionStore, subject: str) -> list[str]:
    return [listed.key for listed in await store.ids_of(subject)]


async def _raises(call: Coroutine[Any, Any, object]) -> None:
    """Check that a call is refused as an error of the program."""
    try:
        await call
    except ValueError:
        return
    raise AssertionError("no ValueError")
