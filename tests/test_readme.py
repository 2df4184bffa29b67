"""The README: its example runs, and the type checker says what it says."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from quart import Quart

from tests.checkers import run_checker
from typed_sessions.stores.identifiers import Identifier

README = Path(__file__).parent.parent / "README.md"


def python_blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_example_has_fifteen_lines() -> None:
    lines = [line for line in python_blocks()[0].splitlines() if line.strip()]
    assert len(lines) <= 15


async def test_the_example_runs() -> None:
    names: dict[str, object] = {"__name__": __name__}
    exec(python_blocks()[0], names)  # noqa: S102 -- the README's own code
    app = names["app"]
    assert isinstance(app, Quart)
    client = app.test_client()
    bodies = []
    for item in ("a", "b"):
        response = await client.post(f"/cart/{item}")
        bodies.append(await response.get_data(as_text=True))
    assert bodies == ["1", "2"]


async def test_the_example_runs_with_its_sessions_on_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": __name__}
    example, _, _, store = python_blocks()
    exec(example + store, names)  # noqa: S102 -- the README's own code
    app = names["app"]
    assert isinstance(app, Quart)
    async with app.test_app() as serving:
        client = serving.test_client()
        cookie = (await client.post("/cart/a")).headers["Set-Cookie"]
        assert await (await client.post("/cart/b")).get_data(as_text=True) == "2"
    assert Identifier.of(cookie.partition(";")[0].removeprefix("session="))
    assert (tmp_path / "sessions.db").exists()


def without_plugin() -> tuple[str, str, str]:
    example, misuses, _, _ = python_blocks()
    return example, misuses, ""


def with_plugin() -> tuple[str, str, str]:
    example, _, keys, _ = python_blocks()
    return example, keys, "plugins = typed_sessions.mypy_plugin"


@pytest.mark.checker
@pytest.mark.parametrize("blocks", [without_plugin, with_plugin])
def test_mypy_says_what_the_readme_says(blocks: Callable[[], tuple[str, str, str]], tmp_path: Path) -> None:
    example, misuses, setting = blocks()
    program, config = tmp_path / "program.py", tmp_path / "mypy.ini"
    program.write_text(example + misuses, encoding="utf-8")
    config.write_text(f"[mypy]\nstrict = True\n{setting}\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", f"--config-file={config}", f"--cache-dir={tmp_path}", str(program)]
    run = run_checker(command, cwd=README.parent)
    found = re.findall(r"^.*?:(\d+): (error: .*?)  \[", run.stdout, re.MULTILINE)
    first = len(example.splitlines()) + 1
    promised = [
        (str(first + offset), comment)
        for offset, line in enumerate(misuses.splitlines())
        for comment in re.findall(r"# (error: .*)$", line)
    ]
    assert [line for line, _ in found] == [line for line, _ in promised], run.stdout
    assert all(said.startswith(comment) for (_, said), (_, comment) in zip(found, promised, strict=True)), run.stdout


@pytest.mark.parametrize("command", ["examples.shop", "pytest"])
def test_the_readme_has_the_two_commands(command: str) -> None:
    pattern = rf"^python3 -m venv \.venv && \.venv/bin/pip install -c constraints\.txt .* -m {command}$"
    assert re.search(pattern, README.read_text(encoding="utf-8"), re.MULTILINE)
