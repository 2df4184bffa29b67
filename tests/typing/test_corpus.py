"""Every misuse of the corpus is reported by the checkers that its line names, and no right use by any."""

from __future__ import annotations

import pytest

from tests.typing.matrix import CHECKERS, PAGE, Checker, codes_of, corpus_lines, recorded_codes, reported_by, surprises

IN_CI = [checker for checker in CHECKERS if checker.name != "pyright"]
"""All but pyright, which npm brings when it first runs; basedpyright is a fork of it. `nox -s checkers` runs all."""


@pytest.mark.checker
@pytest.mark.parametrize("checker", IN_CI, ids=lambda checker: checker.name)
def test_a_checker_reports_the_misuses_and_nothing_else_as_the_page_shows(checker: Checker) -> None:
    reported = reported_by(checker)
    assert surprises(checker, reported) == []
    shown = PAGE.read_text(encoding="utf-8").splitlines()
    header = next(line for line in shown if line.startswith("| misuse "))
    rows = [line for line in shown if line.startswith("| `")]
    names = [name.strip() for name in header.split("|")]
    column = names.index(checker.name) - len(names)  # from the end: a bar may stand in the code
    said = [line.place in reported for line in corpus_lines() if line.expected]
    assert [row.split("|")[column].strip() == "yes" for row in rows] == said
    assert codes_of(checker) == recorded_codes(checker)


def test_there_are_many_of_both() -> None:
    misuses = [line for line in corpus_lines() if line.expected]
    uses = [line for line in corpus_lines() if line.is_use]
    assert len(misuses) >= 80
    assert len(uses) >= 80
