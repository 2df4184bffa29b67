"""This tree does what the oracle does: equal cookies, headers, errors, reports and values."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest
from msgspec.structs import replace

from tests.oracle.comparison import Trees, both_trees, cut_down
from tests.oracle.differences import WANTED, first_difference
from tests.oracle.outcomes import Outcome, SetCookie
from tests.oracle.random_sequences import random_requests
from tests.oracle.sequences import Requests, Visit
from tests.oracle.trees import ROOT, NoHistory, oracle_tree

SECONDS: Final = 10
"""How long to compare, of the 20 s that it may take all in all: the rest is for the start, and for a slow machine."""

SEQUENCES: Final = 100
"""At most: some 1,500 requests."""


@pytest.fixture(scope="module")
def trees() -> Iterator[Trees]:
    try:
        with both_trees() as trees:
            yield trees
    except NoHistory as reason:
        pytest.skip(f"no oracle, for this is no clone with its history: {reason}")


def test_random_requests_give_what_the_oracle_gives(trees: Trees) -> None:
    end = time.monotonic() + SECONDS
    for seed in range(SEQUENCES):
        requests = random_requests(seed)
        difference = trees.difference(requests)
        if difference is not None:
            shortest, difference = cut_down(requests, difference, trees)
            pytest.fail(f"seed {seed}, cut down: {msgspec.json.encode(shortest).decode()}\n{difference}")
        if time.monotonic() > end:
            break


def test_the_trees_are_two(trees: Trees) -> None:
    assert trees.present.library == ROOT / "typed_sessions" / "__init__.py"
    assert trees.oracle.library != trees.present.library


def test_a_sequence_is_data() -> None:
    requests = random_requests(3)
    assert msgspec.json.decode(msgspec.json.encode(requests), type=Requests) == requests == random_requests(3)


def test_without_the_history_it_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.oracle.trees.ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(NoHistory, match="not a git repository"):
        oracle_tree(tmp_path)


OUTCOME: Final = Outcome((), (), "200", (), (), (), ())
SEALED: Final = "cookie-session at 1780000000"


def of_cookie(value: str, payload: str, seal: str = SEALED) -> Outcome:
    return replace(OUTCOME, cookies=(SetCookie(value, "session=; Path=/", payload, seal, len(payload)),))


@pytest.mark.parametrize(
    ("before", "after", "differ"),
    [
        pytest.param(of_cookie(".a", "{}"), of_cookie("b", "{}"), False, id="short, in another text"),
        pytest.param(of_cookie("a", "{}"), of_cookie("b", '{"n":1}'), True, id="another payload"),
        pytest.param(of_cookie("a", "{}"), of_cookie("b", "{}", "nobody"), True, id="signed by nobody"),
        pytest.param(of_cookie(".a", "x" * 201), of_cookie("b", "x" * 201), True, id="long, in another text"),
        pytest.param(OUTCOME, replace(OUTCOME, headers=("vary: Cookie",)), True, id="another header"),
        pytest.param(OUTCOME, replace(OUTCOME, reports=("reset",)), True, id="another report"),
        pytest.param(
            of_cookie("a", "{}"),
            replace(OUTCOME, errors=("save: SerializationError: ''",)),
            False,
            id="newly refused, having come as tagged JSON",
        ),
        pytest.param(
            of_cookie("a", "{}", "cookie-session.msgspec-json at 1"),
            replace(OUTCOME, errors=("save: SerializationError: ''",)),
            True,
            id="newly refused in its own format",
        ),
    ],
)
def test_nothing_differs_but_what_is_wanted(before: Outcome, after: Outcome, differ: bool) -> None:
    found = first_difference(Requests(0, "Small", None, {}, (Visit(),)), [before], [after])
    assert (found is not None) is differ


def test_each_wanted_difference_has_its_reason() -> None:
    assert all(each.reason for each in WANTED.values())
