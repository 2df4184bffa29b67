"""The short form of what `tests.faults.cluster` does by hand."""

from __future__ import annotations

import pytest

from tests.faults.cluster import kill, reshard
from tests.faults.races import MOVES, RACES, Race, run_races
from tests.valkey_clusters import Cluster


@pytest.mark.parametrize("race", [*RACES, *MOVES], ids=lambda race: race.name)
def test_of_two_processes_neither_loses_or_brings_back_anything(valkey_cluster: Cluster, race: Race) -> None:
    assert not run_races(valkey_cluster.url, race, 15).lost


def test_when_a_master_is_killed_what_a_replica_has_is_there_and_other_shards_notice_nothing() -> None:
    tally = kill(1, wait=1, node_timeout=0.5)
    assert tally.wrong == []
    assert tally.lost == tally.elsewhere == 0
    assert tally.answered > 500
    assert tally.promoted > 0


def test_when_slots_move_nothing_fails(valkey_cluster: Cluster) -> None:
    tally = reshard(valkey_cluster, 20)
    assert tally.wrong == []
    assert tally.failed == tally.lost == 0
    assert tally.answered > 0
