"""How pages for users are written: in short sentences, and without what only maintainers need."""

from __future__ import annotations

import re

import pytest

from tests.pages import ROOT, USER_PAGES, long_sentences, text_of


@pytest.mark.parametrize("page", USER_PAGES)
def test_a_page_has_no_long_sentence(page: str) -> None:
    assert long_sentences(text_of(page)) == []


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md"])
def test_what_users_read_besides_has_none(name: str) -> None:
    assert long_sentences((ROOT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", [page for page in USER_PAGES if page != "index.md"])
def test_a_page_does_without_what_is_for_maintainers(page: str) -> None:
    """The first page has the list of all."""
    assert re.findall(r"maintainers/|decisions|CONTRIBUTING|tests/|`test_\w+`", text_of(page)) == []


def test_a_long_sentence_is_found() -> None:
    words = " ".join(["word"] * 30)
    assert (
        long_sentences(f"{words}.\n\n- {words}\n- {words}\n\n| {words} {words} |\n\n```sh\n{words} {words}\n```\n")
        == []
    )
    assert len(long_sentences(f"Short. It is {words}.\n\n1. {words}\n   {words}. Short.")) == 2
