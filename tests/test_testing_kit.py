"""The page on testing, and the plugin for pytest, in a project of a user's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkers import run_checker
from tests.pages import DOCS, blocks_of

PAGE = DOCS / "how-to" / "test-your-app.md"

CONTRACT = """
from contextlib import asynccontextmanager

from typed_sessions.stores import MemoryStore
from typed_sessions.testing import StoreContract


class ForgetfulStore(MemoryStore):
    async def delete(self, key, *, version=None):
        return False


class TestForgetfulStore(StoreContract):
    @asynccontextmanager
    async def open(self, clock):
        yield ForgetfulStore(clock=clock)
"""


(SETTINGS,) = blocks_of("how-to/test-your-app.md", "ini")


def run_pytest(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a folder as its owner would."""
    (directory / "pytest.ini").write_text(f"{SETTINGS}filterwarnings = error\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(  # noqa: S603 -- this interpreter
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


def write_page(directory: Path) -> list[Path]:
    """Write the code of the page into the files that its blocks name."""
    blocks = re.findall(
        r"^```python\n(# (\w+\.py)\n.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    written = [directory / name for _, name in blocks]
    for path, (text, _) in zip(written, blocks, strict=True):
        path.write_text(text, encoding="utf-8")
    return written


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    written = write_page(tmp_path)
    assert len(written) == PAGE.read_text(encoding="utf-8").count("```python")
    run = run_pytest(tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    ran = set(re.findall(r"^(test_\w+\.py) \.", run.stdout, re.MULTILINE))
    assert ran == {path.name for path in written if path.name.startswith("test_")}


@pytest.mark.checker
@pytest.mark.parametrize(
    "command",
    [["mypy", "--strict", "--config-file="], ["basedpyright", "--pythonpath", sys.executable]],
    ids=["mypy", "basedpyright"],
)
def test_the_code_of_the_page_is_typed(command: list[str], tmp_path: Path, mypy_cache: Path) -> None:
    written = write_page(tmp_path)
    command = [*command, f"--cache-dir={mypy_cache}"] if command[0] == "mypy" else command
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}', encoding="utf-8")
    run = run_checker([sys.executable, "-m", *command, *(path.name for path in written)], cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_broken_store_is_explained(tmp_path: Path) -> None:
    (tmp_path / "test_store.py").write_text(CONTRACT, encoding="utf-8")
    run = run_pytest(tmp_path, "-k", "deleted")
    assert run.returncode == 1, run.stdout + run.stderr
    assert re.search(r"^E +assert False", run.stdout, re.MULTILINE), run.stdout
    assert re.search(r"^E +\+  where False = ", run.stdout, re.MULTILINE), run.stdout


def test_the_plugin_costs_nothing_where_it_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n\n\ndef test_what_is_loaded():\n"
        "    loaded = {name for name in sys.modules if name.startswith('typed_sessions')}\n"
        "    assert loaded == {'typed_sessions', 'typed_sessions.testing', 'typed_sessions.testing.plugin'}\n",
        encoding="utf-8",
    )
    run = run_pytest(tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_plugin_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "test_store.py").write_text("def test_it(session_store):\n    pass\n", encoding="utf-8")
    assert run_pytest(tmp_path).returncode == 0
    without = run_pytest(tmp_path, "-p", "no:typed_sessions")
    assert "fixture 'session_store' not found" in without.stdout
