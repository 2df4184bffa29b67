"""The small examples, run as their users run them: a process, a real server, a browser's cookies."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent.parent
MODULES = ["flask_app", "fastapi_app", "starlette_app", "litestar_app"]
PATIENCE = 60.0
"""Seconds that a server has to answer, and to end."""


@contextmanager
def serving(module: str, store: str) -> Iterator[str]:
    """Run an example, and return its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environment = os.environ | {"PORT": str(port), "SESSION_STORE": store}
    command = [sys.executable, "-m", f"examples.{module}"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as server:  # noqa: S603 -- our own
        try:
            until = time.monotonic() + PATIENCE
            while server.poll() is None and time.monotonic() < until:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                except OSError:
                    time.sleep(0.02)
                else:
                    break
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def browser_of(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, follow_redirects=True, trust_env=False)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("store", ["memory://", "sqlite:///{}/sessions.db"])
def test_a_visitor_logs_in_notes_something_and_logs_out_everywhere(module: str, store: str, tmp_path: Path) -> None:
    with serving(module, store.format(tmp_path)) as url, browser_of(url) as browser, browser_of(url) as elsewhere:
        assert "Log in" in browser.get("/").text
        for each in (browser, elsewhere):
            page = each.post("/login", data={"name": "Ada"}).text
            assert "Welcome!" in page
            assert "<h1>Ada</h1>" in page
        for note in ("one", "<two>"):
            browser.post("/notes", data={"text": note})
        page = browser.get("/").text
        assert "<li>one</li><li>&lt;two&gt;</li>" in page
        assert "Welcome!" not in page
        assert "<li>" not in elsewhere.get("/").text
        assert "Log in" in browser.post("/logout").text
        assert "Log in" in elsewhere.get("/").text


@pytest.mark.parametrize("module", MODULES)
def test_an_example_is_short(module: str) -> None:
    assert len((ROOT / "examples" / f"{module}.py").read_text(encoding="utf-8").splitlines()) < 60
