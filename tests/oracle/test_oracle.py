"""This tree does what the oracle does: equal cookies, headers, errors, reports and values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
import pytest
from msgspec.structs import replace

from tests.oracle.comparison import Trees, both_trees, one_tree, the_oracle
from tests.oracle.differences import WANTED, first_difference
from tests.oracle.outcomes import Outcome, SetCookie
from tests.oracle.random_sequences import random_requests
from tests.oracle.recorded import portable, read
from tests.oracle.sequences import Cookie, Requests, Visit
from tests.oracle.trees import ROOT, NoHistory, Tree, oracle_tree

EACH: Final = 20
"""One of so many sequences is asked of the oracle anew, where git still has it."""


@pytest.fixture(scope="module")
def trees() -> Iterator[Trees]:
    try:
        with both_trees() as trees:
            yield trees
    except NoHistory as reason:
        pytest.skip(f"no oracle, for this is no clone with its history: {reason}")


def test_requests_give_what_the_oracle_gave() -> None:
    recorded = read()
    ended_early = 0
    with one_tree() as present:
        for each in recorded:
            outcomes = served(present, each.requests)
            difference = first_difference(each.requests, each.outcomes, outcomes)
            if difference is not None:
                pytest.fail(f"seed {each.requests.seed}, {difference}\n{how_to_see(each.requests)}")
            ended_early += outcomes != list(each.outcomes)
    assert ended_early < len(recorded) / 50  # by a write that is newly refused, after which nothing is compared


def served(tree: Tree, requests: Requests) -> list[Outcome]:
    return list(map(portable, tree.serve(requests)))


def how_to_see(requests: Requests) -> str:
    seed = requests.seed
    if random_requests(seed) != requests:
        return (
            f"random_sequences.py makes other requests of this seed by now:\n{msgspec.json.encode(requests).decode()}"
        )
    return f"`python -m tests.oracle --seed {seed} --requests 1` cuts it down, where git has the oracle"


def test_what_was_recorded_depends_on_no_process() -> None:
    """Another hash seed, another zone, and other sequences before it."""
    with ExitStack() as stack:
        try:
            oracle = stack.enter_context(the_oracle(hash_seed="7", zone="Pacific/Chatham"))
        except NoHistory as reason:
            pytest.skip(f"no oracle, for this is no clone with its history: {reason}")
        for each in read()[::-EACH]:
            assert served(oracle, each.requests) == list(each.outcomes)


def test_two_trees_are_compared_live(trees: Trees) -> None:
    assert trees.difference(read()[0].requests) is None


def test_threads_make_one_report() -> None:
    stranger = Visit(cookies=(Cookie("text", "A" * 43),), threads=("s.data",) * 4)
    settings = {"SECRET_KEY": "'the key of all that is signed here'"}
    requests = Requests(0, "Small", "memory", settings, None, (stranger,) * 50)
    with one_tree(stores=("memory",)) as present:
        reports = [outcome.reports for outcome in present.serve(requests)]
    assert all(len(each) == 2 for each in reports), reports  # a log record and a signal


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
    found = first_difference(Requests(0, "Small", None, {}, None, (Visit(),)), [before], [after])
    assert (found is not None) is differ


def test_no_library_decides_what_is_recorded() -> None:
    before = replace(of_cookie(".a", "x" * 201), values=("ValueError: 'as Python says'",), errors=("KeyError: 'n'",))
    after = portable(before)
    assert after.values == ("ValueError",)
    assert after.errors == before.errors
    assert after.cookies[0].value == "<compressed>"
    assert portable(after) == after


def test_each_wanted_difference_has_its_reason() -> None:
    assert all(each.reason for each in WANTED.values())
