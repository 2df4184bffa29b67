"""A few rounds of the command that kills a server."""

from __future__ import annotations

from tests.faults.kill_postgresql import kill


async def test_a_server_that_is_killed_has_all_that_it_acknowledged() -> None:
    tally, _ = await kill(rounds=3, fsync=False)
    assert tally.wrong == []
    assert tally.acknowledged > 0
    assert tally.under_way > 0
