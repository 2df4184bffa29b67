"""The browser of the tests: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

__all__ = ["NOT_INSTALLED", "chromium", "executable"]

NOT_INSTALLED = (
    "the tests of the demo need Chromium: `apt-get install chromium`, "
    "or its path in the environment variable TYPED_SESSIONS_TEST_CHROMIUM"
)
OPTIONS = (
    "--no-sandbox",  # which root may not have
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def executable() -> str | None:
    """Return the path of Chromium; None if it is not installed."""
    named = os.environ.get("TYPED_SESSIONS_TEST_CHROMIUM")
    return shutil.which(named) if named else shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium for as long as the context lasts. Raises RuntimeError if it is not installed."""
    path = executable()
    if path is None:
        raise RuntimeError(NOT_INSTALLED)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield browser
        browser.close()
