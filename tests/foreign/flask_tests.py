"""Flask's own tests with our sessions in place, by hand: `python -m tests.foreign.flask_tests CHECKOUT`.

The checkout may have any version from 3.1.0 on; its source is what is tested. The exit status is 0 if all tests pass
but those of `EXPECTED`, and those that fail with Flask's own sessions, too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent

EXPECTED: Final = {
    "test_session_using_samesite_attribute": "sets an equal value under other settings, and expects a cookie each time",
}
"""Which tests fail, and what they ask for that is otherwise here by design."""

_OURS: Final = "TYPED_SESSIONS_IN_FLASKS_TESTS"
"""The environment variable that puts our sessions in place."""


def pytest_configure() -> None:
    """As a plugin of pytest, which this module is, too: give all applications our interface."""
    from _pytest import monkeypatch  # noqa: PLC0415 -- so have Flask's tests
    from flask import Flask  # noqa: PLC0415 -- that of the checkout

    from typed_sessions.flask import SecureCookieSessionInterface  # noqa: PLC0415 -- it imports Flask

    if _OURS in os.environ:
        Flask.session_interface = SecureCookieSessionInterface()
    if not hasattr(monkeypatch, "notset"):  # as it was called when those tests were written
        setattr(monkeypatch, "notset", vars(monkeypatch)["NOTSET"])  # noqa: B010


def failures(checkout: Path, **environment: str) -> tuple[set[str], str]:
    """Run the tests of a checkout, and return the names of those that fail, and what pytest says in the end."""
    options = ("-q", "-p", "tests.foreign.flask_tests", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:asyncio")
    path = os.pathsep.join(map(str, (checkout / "src", ROOT)))
    run = subprocess.run(  # noqa: S603 -- what the caller has checked out
        [sys.executable, "-m", "pytest", *options, "--rootdir", ".", "tests"],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    last = (run.stdout or run.stderr).strip().splitlines()[-1]
    return set(re.findall(r"^(?:FAILED|ERROR) \S+?::(\w+)", run.stdout, re.MULTILINE)), last


def main(checkout: Path) -> int:
    """Say which tests of a checkout fail with our sessions, and why; return 1 if there is one without a reason."""
    stock, _ = failures(checkout)
    ours, last = failures(checkout, **{_OURS: "1"})
    for name in sorted(ours):
        print(f"{name}: {EXPECTED.get(name) or ('fails in stock Flask, too' if name in stock else 'WHY?')}")
    print(last)
    return 0 if " passed" in last and ours - stock <= EXPECTED.keys() else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
