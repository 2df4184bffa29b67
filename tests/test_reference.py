"""The reference: every public name is in it, and some page shows it at work."""

from __future__ import annotations

import re
from importlib import import_module
from typing import get_args

import pytest

from tests.pages import USER_PAGES, blocks_of, rows_of
from tests.site import PUBLIC_MODULES
from typed_sessions import Session
from typed_sessions.reports import Report

ANSWERS = {"Created", "Exists", "Found", "Listed", "Revoked", "Updated"}
"""What stores return. A program seldom names it."""
NAMED_IN_TEXT = {"PassDict", "PassList", "TagBytes", "TagDateTime", "TagDict", "TagMarkup", "TagTuple", "TagUUID"}
REPORTS = {report.__name__ for report in get_args(Report)}
"""The page on reports shows the text of each, and what to do: tests/test_docs.py."""
WITHOUT_AN_EXAMPLE = ANSWERS | NAMED_IN_TEXT | REPORTS
WITHOUT_AN_EXAMPLE |= {"PlacedStore", "SessionOptions", "SecretKey", "SessionMiddleware", "__version__"}

SHOWN = "".join(block for page in USER_PAGES for block in blocks_of(page))
CALLED_BY_LITESTAR = {"on_app_init", "receive_route"}
"""What a plugin has for its framework. The reference leaves it out, for no program calls it."""
NAMES = sorted({(module, name) for module in PUBLIC_MODULES for name in import_module(module).__all__})
SESSIONS = [import_module(module).Sessions for module, name in NAMES if name == "Sessions"]


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[f"{module}.{name}" for module, name in NAMES])
def test_a_public_name_is_shown_at_work(module: str, name: str) -> None:  # noqa: ARG001 -- the module tells which failed
    assert name in WITHOUT_AN_EXAMPLE or re.search(rf"\b{name}\b", SHOWN)


@pytest.mark.parametrize("owner", [Session, *SESSIONS], ids=lambda owner: f"{owner.__module__}.{owner.__name__}")
def test_each_method_is_shown_at_work(owner: type) -> None:
    known = {*dir(dict), *CALLED_BY_LITESTAR}
    methods = [name for name in dir(owner) if not name.startswith("_") and name not in known]
    assert len(methods) > 7
    assert [name for name in methods if not re.search(rf"\.{name}\b", SHOWN)] == []


def test_the_table_of_modules_is_complete() -> None:
    named = {row[0].split("`")[1] for row in rows_of("reference/api.md") if "`typed_sessions" in row[0]}
    assert named == {*PUBLIC_MODULES, "typed_sessions.mypy_plugin"}
