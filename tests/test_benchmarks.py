"""The benchmarks: each contender does its work, and what is printed is well formed. No time is checked."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from attrs import evolve
from typing_extensions import override

from benchmarks.__main__ import main
from benchmarks.asgi import USES, asgi_table
from benchmarks.bounds import bound_table
from benchmarks.contenders import BrokenContender, Contender, Floor, OnQuart, local_contenders, prove, stock
from benchmarks.costs import KINDS, costs_table
from benchmarks.encryption import encryption_table
from benchmarks.extras import extras_table
from benchmarks.flask_redis import flask_redis_tables
from benchmarks.flask_sqlite import flask_sqlite_tables
from benchmarks.frameworks import FRAMEWORKS, PAGE, framework_table, write_page
from benchmarks.growth import DIMENSIONS, growth_tables
from benchmarks.imports import import_table
from benchmarks.measure import compare
from benchmarks.memory import memory_table
from benchmarks.payloads import SIZES, Size
from benchmarks.peers import peers
from benchmarks.requests import request_table
from benchmarks.rows import NESTED, ROWS, UNTOUCHED, does, timed
from benchmarks.table import Table
from benchmarks.untouched import untouched_table
from typed_sessions.tools.inspection import inspect_cookie

FIGURE = re.compile(r"-?\d+(\.\d+)?|-")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.measure.BATCH", 1)


def all_contenders(size: Size, *, refresh: bool = False) -> list[Contender]:
    return [stock(size, refresh=refresh), *peers(size)[0], *local_contenders(size, refresh=refresh)]


def assert_has_figures(table: Table, rows: int) -> None:
    assert len(table.rows) == rows
    for row in table.rows:
        assert len(row) == len(table.headings)
        assert all(map(FIGURE.fullmatch, row[1:])), row


@pytest.mark.parametrize("refresh", [False, True], ids=["", "refresh"])
@pytest.mark.parametrize("size", SIZES)
def test_each_contender_does_its_work(size: Size, refresh: bool) -> None:
    for contender in all_contenders(size, refresh=refresh):
        assert prove(contender)


@pytest.mark.parametrize("size", SIZES)
def test_each_row_runs_for_each_contender(size: Size) -> None:
    for contender in all_contenders(size):
        prove(contender)
        for row in ROWS:
            if does(contender, row):
                assert timed(contender, row)(1) >= 0


def test_rows_that_mean_nothing_are_left_out() -> None:
    assert not does(stock("small"), NESTED)
    assert does(stock("medium"), NESTED)
    assert not does(Floor("floor", {}), UNTOUCHED)


@pytest.mark.parametrize("size", SIZES)
def test_tagged_json_has_the_same_contents_everywhere(size: Size) -> None:
    cookies = [prove(stock(size)), *(prove(each) for each in local_contenders(size) if each.family == "tagged-json")]
    assert len({str(inspect_cookie(cookie["session"], None).contents) for cookie in cookies}) == 1
    assert len(cookies) == 9


def test_a_contender_that_loses_changes_is_not_measured() -> None:
    class Forgetful(OnQuart):
        @override
        def change(self, session: object) -> None:
            pass

    with pytest.raises(BrokenContender, match=r"Forgetful \(peers\) does not save a change"):
        prove(Forgetful("Forgetful", {"user_id": 1}, {"SECRET_KEY": "k" * 32, "SESSION_REFRESH_EACH_REQUEST": False}))


def test_a_ratio_says_how_many_times_faster() -> None:
    found = compare(lambda count: 600 * count, {"half": lambda count: 1_200 * count}, seconds=0)
    assert found.base_microseconds == 0.6
    assert (found.ratios["half"].median, found.ratios["half"].error) == (0.5, 0)


def test_the_main_part_prints_markdown_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: tuple[Size, ...] = ("small", "medium")
    monkeypatch.setattr("benchmarks.sessions.SIZES", sizes)
    plot = tmp_path / "plot.svg"
    main(["--seconds", "0", "--markdown", "--plot", str(plot)])
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if line.startswith("|")]
    assert printed.count("### ") == 4
    assert all(line.endswith("|") for line in lines)
    assert len(lines) == 4 * (2 + len(sizes) * len(ROWS) - 1)
    root = ET.fromstring(plot.read_text(encoding="utf-8"))  # noqa: S314 -- written just now
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    bars = root.findall("{http://www.w3.org/2000/svg}rect[@height='12']")
    assert len(bars) == sum(len(all_contenders(size)) - 1 for size in sizes)


def test_a_missing_peer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("benchmarks.peers.import_module", missing)
    present, lines = peers("small")
    assert not present
    assert lines[0] == "Starlette is left out: No module named 'starlette.middleware.sessions'"
    assert len(lines) == 4


def test_whole_requests_are_compared() -> None:
    assert_has_figures(request_table(seconds=0, refresh=False, sizes=("medium",)), rows=4)


def test_untouched_sessions_are_compared_under_default_settings() -> None:
    assert_has_figures(untouched_table(seconds=0, sizes=("small",)), rows=1)


def test_undeclared_keys_are_compared() -> None:
    table = extras_table(seconds=0, sizes=("small",))
    assert [row[0] for row in table.rows] == ["open + save, one change, small", "read only, small"]
    assert all(re.fullmatch(r"[+-]\d+%", cell) for row in table.rows for cell in row[1:])


def test_an_encrypted_cookie_is_compared_with_a_signed_one() -> None:
    table = encryption_table(seconds=0, sizes=("medium",))
    rows = ["open + save, one change, medium", "read only, medium", "nested change, medium"]
    assert [row[0] for row in table.rows] == rows
    assert_has_figures(table, rows=3)


def test_what_bounds_a_session_is_measured_beside_it() -> None:
    assert_has_figures(bound_table(seconds=0, sizes=("large",)), rows=2)


def test_growth_goes_from_size_to_size() -> None:
    dimensions = tuple(evolve(dimension, sizes=dimension.sizes[:2]) for dimension in DIMENSIONS)
    for table in growth_tables(seconds=0, dimensions=dimensions):
        assert_has_figures(table, rows=2)
        assert table.rows[0][-1] == "-"


def test_what_contents_cost_is_compared() -> None:
    table = costs_table(repeats=1, kinds={kind: KINDS[kind] for kind in ("set[Decimal]", "dict[int, str]")})
    assert_has_figures(table, rows=2)


def test_memory_is_counted_for_each_contender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.memory.SIZES", ("small",))
    assert_has_figures(memory_table(), rows=len(all_contenders("small")))


def test_imports_are_timed() -> None:
    assert_has_figures(import_table(repeats=1), rows=3)


def test_flask_on_redis_is_compared_with_flask_session(redis_url: str) -> None:
    times, server = flask_redis_tables(redis_url, seconds=0, sizes=("medium",))
    assert_has_figures(times, rows=4)
    assert_has_figures(server, rows=2)


def test_flask_on_sqlite_is_compared_with_what_commits_for_each_request(tmp_path: Path) -> None:
    for table in flask_sqlite_tables(tmp_path, visits=4, rounds=1, at_once=(1, 2)):
        assert_has_figures(table, rows=2)


def test_the_middleware_is_compared_with_starlettes_own() -> None:
    table = asgi_table(seconds=0.01, sizes=("small", "medium"))
    assert_has_figures(table, len(USES) * 2)
    assert len(table.headings) == 7


def test_all_frameworks_are_compared_and_the_page_has_the_table(redis_url: str, tmp_path: Path) -> None:
    table = framework_table(seconds=0, redis=redis_url)
    assert_has_figures(table, rows=19)
    assert {row[0].partition(",")[0] for row in table.rows} == set(FRAMEWORKS)
    page = tmp_path / "speed.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    for _ in range(2):
        write_page(table, page)
        shown = page.read_text(encoding="utf-8")
        assert all(f"| {' | '.join(row)} |" in shown for row in table.rows)
    assert [row[0] for row in table.rows] == re.findall(
        r"^\| (\w+, [\w -]+, \w+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
