"""The example shop, run as its users run it: a process of its own, and a real server."""

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

__all__ = ["ROOT", "serving_shop"]

ROOT = Path(__file__).parent.parent
PATIENCE = 60.0
"""Seconds that the server has to answer, and to end."""


@contextmanager
def serving_shop(log: Path, secret_key: str) -> Iterator[str]:
    """Serve the shop for as long as the context lasts, and return its URL.

    Args:
        log: the file for what it prints.
        secret_key: its key.

    Raises:
        RuntimeError: it does not answer; the message has what it printed.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "examples.shop", "--port", str(port)]
    environment = os.environ | {"SHOP_SECRET_KEY": secret_key}
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output) as server,  # noqa: S603 -- ours
    ):
        try:
            wait_for(f"http://127.0.0.1:{port}/", server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the shop does not answer:\n{log.read_text()}") from None
            time.sleep(0.02)
        else:
            return
