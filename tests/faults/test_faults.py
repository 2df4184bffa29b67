"""The short form of the fault runs, which are commands: `tests.faults.kill` and `tests.faults.races`."""

from __future__ import annotations

import pytest

from tests.faults.kill import run_rounds
from tests.faults.races import RACES, Race, run_races
from tests.faults.running import STORES, running

EACH_STORE = pytest.mark.parametrize("name", STORES)


@EACH_STORE
def test_after_a_kill_everything_answered_is_there_and_nothing_in_part(name: str) -> None:
    with running(name) as store:
        outcome = run_rounds(store, 5)
    assert outcome.answered
    assert not outcome.wrong


@EACH_STORE
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.name)
def test_of_two_processes_neither_loses_or_brings_back_anything(name: str, race: Race) -> None:
    with running(name) as store:
        assert not run_races(store.url, race, 25).lost
