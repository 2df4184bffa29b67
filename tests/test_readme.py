"""The README: its examples run, the type checker says what it says, and it stays short."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from fastapi import FastAPI
from quart import Quart
from starlette.testclient import TestClient

from tests.checkers import run_checker
from tests.typing import picture
from typed_sessions.stores.identifiers import Identifier

README = Path(__file__).parent.parent / "README.md"
SPEED = README.parent / "docs" / "explanation" / "speed.md"


def read(fence: str = "python") -> list[str]:
    return re.findall(rf"^```{fence}\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


EXAMPLE, STORE, API, MISUSES = read()


def run(*blocks: str) -> dict[str, object]:
    names: dict[str, object] = {"__name__": __name__}
    exec("".join(blocks), names)  # noqa: S102 -- the README's own code
    return names


def test_it_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 120
    assert len(EXAMPLE.splitlines()) <= 45


async def test_the_example_runs() -> None:
    app = run(EXAMPLE)["app"]
    assert isinstance(app, Quart)
    client = app.test_client()
    assert "User None, cart []" in await (await client.get("/")).get_data(as_text=True)
    for path, shown in [
        ("/tea", "User None, cart ['tea']"),
        ("/login", "User 7, cart ['tea']"),
        ("/tea", "User 7, cart ['tea', 'tea']"),
        ("/logout", "User None, cart []"),
    ]:
        for response in (await client.post(path), await client.get("/")):
            assert shown in await response.get_data(as_text=True)


async def test_the_example_runs_with_its_sessions_on_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = run(EXAMPLE, STORE)["app"]
    assert isinstance(app, Quart)
    async with app.test_app() as serving:
        client = serving.test_client()
        cookie = (await client.post("/tea")).headers["Set-Cookie"]
        assert "['tea', 'tea']" in await (await client.post("/tea")).get_data(as_text=True)
    assert Identifier.of(cookie.partition(";")[0].removeprefix("session="))
    assert (tmp_path / "sessions.db").exists()


def test_the_example_of_fastapi_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("readme")
    monkeypatch.setitem(sys.modules, "readme", module)
    exec(EXAMPLE + API, module.__dict__)  # noqa: S102 -- the README's own code
    api = module.__dict__["api"]
    assert isinstance(api, FastAPI)
    client = TestClient(api)
    assert [client.post("/tea").json() for _ in range(2)] == [["tea"], ["tea", "tea"]]


@pytest.mark.checker
@pytest.mark.parametrize("setting", ["", "plugins = typed_sessions.mypy_plugin"], ids=["without plugin", "with plugin"])
def test_mypy_says_what_the_readme_says(setting: str, tmp_path: Path, mypy_cache: Path) -> None:
    program, config = tmp_path / "program.py", tmp_path / "mypy.ini"
    program.write_text(EXAMPLE + MISUSES, encoding="utf-8")
    config.write_text(f"[mypy]\nstrict = True\n{setting}\n", encoding="utf-8")
    command = [
        *picture.COMMAND,
        f"--config-file={config}",
        f"--cache-dir={tmp_path if setting else mypy_cache}",
        str(program),
    ]
    checked = run_checker(command, cwd=README.parent)
    found = re.findall(r"^.*?:(\d+):\d+:\d+:\d+: (error: .*?)  \[", checked.stdout, re.MULTILINE)
    first = len(EXAMPLE.splitlines()) + 1
    promised = [
        (str(first + offset), comment)
        for offset, line in enumerate(MISUSES.splitlines())
        for comment in re.findall(r"# (error: .*)$", line)
    ]
    if not setting:
        assert "has no key" in promised.pop()[1]
    assert len(promised) >= 3
    assert [line for line, _ in found] == [line for line, _ in promised], checked.stdout
    assert all(said.startswith(comment) for (_, said), (_, comment) in zip(found, promised, strict=True)), (
        checked.stdout
    )

    if setting:
        assert picture.draw(EXAMPLE + MISUSES, checked.stdout) == picture.PICTURE.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", ["small", "large"])
def test_its_figures_are_those_of_the_page_on_speed(size: str) -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in SPEED.read_text(encoding="utf-8").splitlines()
        if line.startswith(("| times as fast as Quart |", f"| open + save, one change, {size}"))
    ]
    others, *own = [dict(zip(rows[at], rows[at + 1], strict=True)) for at in range(0, len(rows), 2)]
    slowest, *_, fastest = sorted((table["attrs"] for table in own), key=float)
    shown = f"{slowest} to {fastest} | 1 | not measured | {others['Starlette']} | not measured | {others['Litestar']} |"
    assert f", a {size} cookie | {shown}" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["CHANGELOG.md", "CONTRIBUTING.md", "README.md", "RELEASING.md", "SECURITY.md"])
def test_every_link_leads_somewhere(name: str) -> None:
    """Those within docs/ are followed by `nox -s docs`."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (README.parent / name).read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []


@pytest.mark.parametrize("command", ["examples.shop", "pytest"])
def test_the_readme_has_the_two_commands(command: str) -> None:
    pattern = rf"^python3 -m venv \.venv && \.venv/bin/pip install -c constraints\.txt .* -m {command}$"
    assert re.search(pattern, README.read_text(encoding="utf-8"), re.MULTILINE)
