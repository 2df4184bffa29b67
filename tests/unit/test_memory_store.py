"""What the memory store does besides what every store does: it is bounded."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from typed_sessions import ConfigurationError
from typed_sessions.stores import MOVES_KEPT, Lifetime, MemoryStore, Moved, Record, WriteRequest
from typed_sessions.testing import ManualClock

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


async def create(store: MemoryStore, *keys: str, idle: timedelta = HOUR, subject: str | None = None) -> None:
    for key in keys:
        written = WriteRequest(b"", Lifetime(idle), subject, await store.now())
        assert isinstance(await store.create(key, written), Record)


async def move(store: MemoryStore, key: str, target: str) -> None:
    record = await store.load(key)
    assert isinstance(record, Record)
    assert isinstance(
        await store.update(key, record.version, WriteRequest(b"", Lifetime(HOUR)), move_to=target), Record
    )


async def there(store: MemoryStore, keys: str) -> str:
    return "".join([key for key in keys if isinstance(await store.load(key), Record)])


async def moved(store: MemoryStore, keys: str) -> str:
    return "".join([key for key in keys if isinstance(await store.load(key), Moved)])


async def test_a_full_store_forgets_the_one_seen_longest_ago() -> None:
    store = MemoryStore(3, clock=ManualClock())
    await create(store, "a", "b", "c")
    await store.touch("a", Lifetime(HOUR))
    await create(store, "d")
    assert await there(store, "abcd") == "acd"
    await create(store, "e", "f")
    assert await there(store, "abcdef") == "def"


async def test_a_full_store_forgets_first_what_has_expired() -> None:
    clock = ManualClock()
    store = MemoryStore(3, clock=clock)
    await create(store, "a", "b")
    await create(store, "c", idle=MINUTE)
    clock.forward(MINUTE)
    await create(store, "d")
    assert await there(store, "abcd") == "abd"


async def test_what_is_updated_in_a_full_store_takes_no_room() -> None:
    store = MemoryStore(2, clock=ManualClock())
    await create(store, "a", "b")
    record = await store.load("b")
    assert isinstance(record, Record)
    assert isinstance(await store.update("b", record.version, WriteRequest(b"new", Lifetime(HOUR))), Record)
    assert await there(store, "ab") == "ab"


async def test_the_note_of_a_move_takes_the_room_of_what_was_seen_longest_ago() -> None:
    store = MemoryStore(4, clock=ManualClock())
    await create(store, "a", "b", "c", "d")
    await move(store, "b", "e")
    assert (await there(store, "abcde"), await moved(store, "abcde")) == ("cde", "b")
    await store.touch("c", Lifetime(HOUR))
    await create(store, "f")
    assert (await there(store, "abcdef"), await moved(store, "abcdef")) == ("cef", "b")
    await create(store, "g")
    assert (await there(store, "abcdefg"), await moved(store, "abcdefg")) == ("cefg", "")


async def test_a_full_store_forgets_a_note_first_that_nobody_needs_any_more() -> None:
    clock = ManualClock()
    store = MemoryStore(3, clock=clock)
    await create(store, "a", "b")
    await move(store, "b", "c")
    clock.forward(MOVES_KEPT)
    await create(store, "d")
    assert await there(store, "abcd") == "acd"


@pytest.mark.parametrize("max_records", [1, 2, 3, 10])
async def test_moves_do_not_let_it_grow_by_more_than_one_note(max_records: int) -> None:
    store = MemoryStore(max_records, clock=ManualClock())
    for number in range(20):
        await create(store, f"{number} 0")
        for step in range(5):
            await move(store, f"{number} {step}", f"{number} {step + 1}")
            assert len(store._records) <= max(max_records, 2)
            assert isinstance(await store.load(f"{number} {step + 1}"), Record)
            assert isinstance(await store.load(f"{number} {step}"), Moved)
        await create(store, f"{number} last")
        assert len(store._records) <= max_records


async def test_what_is_forgotten_is_not_listed() -> None:
    store = MemoryStore(1, clock=ManualClock())
    await create(store, "a", "b", subject="7")
    assert [listed.key for listed in await store.ids_of("7")] == ["b"]


async def test_touches_and_deletions_do_not_make_it_grow() -> None:
    clock = ManualClock()
    store = MemoryStore(clock=clock)
    await create(store, "a", subject="7")
    for _ in range(1_000):
        clock.forward(MINUTE)
        await store.touch("a", Lifetime(HOUR))
        await create(store, "b", subject="8")
        await store.delete("b")
        await store.delete_subject(clock.now.isoformat())
    clock.forward(timedelta(days=2))
    await store.delete_expired()
    assert len(store._ends) < 100
    assert not store._keys
    assert not store._revocations


async def test_its_time_is_the_systems_by_default() -> None:
    before = datetime.fromtimestamp(time.time() - 1, UTC)
    assert before < await MemoryStore().now() < before + MINUTE


def test_a_store_for_nothing_is_no_store() -> None:
    with pytest.raises(ConfigurationError, match="max_records is 0"):
        MemoryStore(0)
