"""The short form of the fault runs, which are commands: `tests.faults.kill` and `tests.faults.races`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.kill import run_rounds
from tests.faults.races import RACES, Race, run_races
from tests.faults.running import STORES, Running, running

EACH_STORE = pytest.mark.parametrize("name", STORES)


@EACH_STORE
def test_after_a_kill_everything_answered_is_there_and_nothing_in_part(name: str) -> None:
    with running(name) as store:
        outcome = run_rounds(store, 5)
    assert outcome.answered
    assert not outcome.wrong


@pytest.fixture(scope="module", params=STORES)
def raced(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A store for all races, each of which is for records of its own."""
    with running(request.param) as store:
        yield store


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.name)
def test_of_two_processes_neither_loses_or_brings_back_anything(raced: Running, race: Race) -> None:
    assert not run_races(raced.url, race, 25).lost
