"""The pages of the documentation: their code runs, and what it shows happens."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from attrs import define
from pydantic import ValidationError
from quart.testing.connections import WebsocketDisconnectError

from typed_sessions import FieldTypeError, FieldValueError, SecureCookieSession
from typed_sessions.tools.cli import main


@define
class Named:
    user_id: int | None = None


DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture
def run_page(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that runs the code of a page in a module of its own, and returns its names."""

    def run(page: str) -> Any:
        text = (DOCS / page).read_text(encoding="utf-8")
        module = ModuleType(f"page_{page.removesuffix('.md')}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            exec(block, module.__dict__)  # noqa: S102 -- the page's own code
        return module

    return run


async def test_the_page_on_schemas_shows_two_views(run_page: Any) -> None:
    response = await run_page("schemas.md").app.test_client().get("/look")
    assert await response.get_json() == {"before": False, "after": True, "items": 1, "keys": ["user_id", "cart"]}


def test_the_page_on_schemas_shows_models_of_pydantic(run_page: Any) -> None:
    page = run_page("schemas.md")
    session = SecureCookieSession(schema=page.Customer)
    with pytest.raises(FieldValueError) as refused:
        session["nickname"] = "x" * 41
    assert isinstance(refused.value.__cause__, ValidationError)
    with pytest.raises(FieldTypeError):
        session["user_id"] = "7"
    session.update(user_id=7, nickname=" ada ")
    session.data.lines.append(page.Line(sku="tea"))
    assert dict(session) == {"user_id": 7, "nickname": "ada", "lines": [page.Line(sku="tea")]}


async def test_the_page_on_serializers_shows_one_of_your_own(run_page: Any) -> None:
    page = run_page("serializers.md")
    assert page.with_paths.schema.create() == page.Visitor()
    text = page.sessions.cookie_for({"user_id": 7})
    async with page.sessions.transaction(page.app.test_client()) as session:
        session["user_id"] = 7
    assert text.count(".") == 2


async def test_the_page_on_streams_shows_save_and_reload(run_page: Any) -> None:
    page = run_page("streams-and-websockets.md")
    client = page.app.test_client()
    await client.post("/login")
    async with client.websocket("/news") as socket:
        assert await socket.receive() == "user 7: 0 downloads"
        assert await (await client.get("/download")).get_data(as_text=True) == "for user 7\ncounted\n"
        await client.post("/report")
        await asyncio.gather(*page.app.background_tasks)
        await socket.send("more")
        assert await socket.receive() == "user 7: 2 downloads"
        await client.post("/logout")
        await socket.send("more")
        with pytest.raises(WebsocketDisconnectError):
            await socket.receive()


async def test_the_page_on_templates_shows_what_they_see(run_page: Any) -> None:
    response = await run_page("templates.md").app.test_client().get("/")
    shown = await response.get_data(as_text=True)
    assert shown.split("\n")[1:] == [
        "7, 7, mine",
        '<script>const visitor = {"data": "mine", "user_id": 7}</script>',
    ]


def test_the_page_on_changes_shows_a_migration(run_page: Any) -> None:
    page = run_page("changing-a-schema.md")
    assert page.split_name({"name": "Ada Lovelace", "n": 1}) == {"first_name": "Ada", "last_name": "Lovelace", "n": 1}
    assert page.split_name({}) == {}


def test_the_page_on_types_shows_a_function_over_sessions(run_page: Any) -> None:
    page, session = run_page("types.md"), SecureCookieSession({"user_id": 7}, schema=Named)
    assert page.is_logged_in(SecureCookieSession({}, schema=Named)) is False
    assert page.user_of(SimpleNamespace(current=session, data=session.data)) == 7


def test_the_page_on_changes_shows_what_check_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    declared = "from attrs import define\n@define\nclass Visitor:\n    visits: {} = {}()\n"
    for cls in ("int", "str"):
        module = ModuleType("shop")
        exec(declared.format(cls, cls), module.__dict__)  # noqa: S102 -- a test's own code
        monkeypatch.setitem(sys.modules, "shop", module)
        if cls == "int":
            main(["lock", "shop:Visitor"])
            capsys.readouterr()
    main(["check"])
    shown = re.search(
        r"^```text\n(.*?)^```", (DOCS / "changing-a-schema.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert shown is not None
    assert capsys.readouterr().out == shown[1]


def test_every_test_that_the_page_on_security_names_is_there() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (DOCS / "security.md").read_text(encoding="utf-8"))
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not re.search(
            rf"^(?:async )?def {name}\(", (DOCS.parent / "tests" / path).read_text(encoding="utf-8"), re.MULTILINE
        )
    ]
    assert len(named) > 40
    assert missing == []
