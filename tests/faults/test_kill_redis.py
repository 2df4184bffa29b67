"""A few rounds of the command that kills a server."""

from __future__ import annotations

from tests.faults.kill_redis import kill


def test_a_server_that_is_killed_has_all_that_it_acknowledged() -> None:
    tally = kill(rounds=3, seed=7)
    assert tally.wrong == []
    assert tally.acknowledged > 0
    assert tally.under_way > 0
