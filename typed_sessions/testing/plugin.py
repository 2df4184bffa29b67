"""The plugin for pytest: a store and a clock for each test. `-p no:typed_sessions` leaves it out.

pytest loads it in each of its runs, wherever the library is installed: nothing else is imported before a test asks for
it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from typed_sessions.stores import MemoryStore
    from typed_sessions.testing.manual_clock import ManualClock

__all__ = ["session_clock", "session_store"]

pytest.register_assert_rewrite(
    "typed_sessions.testing.store_contract",
    "typed_sessions.testing.store_machine",
    "typed_sessions.testing.store_model",
)


@pytest.fixture
def session_clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """A time that stands still until the test sets it forward: `session_clock.forward(timedelta(days=31))`.

    It begins at the present second, and is what `time.time()` says until the test ends: to cookies, to the memory and
    SQLite stores, and to the jars of test clients. `datetime.now()` goes on, and so does the clock of a server.
    """
    from typed_sessions.testing.manual_clock import ManualClock  # noqa: PLC0415 -- see above

    clock = ManualClock(datetime.now(UTC).replace(microsecond=0))
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture
def session_store() -> MemoryStore:
    """A store that is empty, and this test's alone: `app.config["SESSION_STORE"] = session_store`.

    It goes by `session_clock`, where a test has that.
    """
    from typed_sessions.stores import MemoryStore  # noqa: PLC0415 -- see above

    return MemoryStore()
