"""Starlette's own tests of sessions with ours in place, by hand: `python -m tests.foreign.starlette_tests CHECKOUT`.

The checkout's source is what is tested. The exit status is 0 if all tests pass but those of `EXPECTED`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent.parent

EXPECTED: Final = {
    "test_session_expires": "has a cookie expire before it was made, by a negative age; here it lives for a second",
}
"""Which tests fail, and what they ask for that is otherwise here by design."""


def pytest_configure() -> None:
    """As a plugin of pytest, which this module is, too: put our middleware in place of Starlette's.

    Starlette's own dict stays for the one test that makes it by itself: that a `pop` in vain is no access, as it says
    there, holds for none that a request has, which is accessed by then.
    """
    from starlette.middleware import sessions  # noqa: PLC0415 -- that of the checkout

    vars(sessions).update(SessionMiddleware=StarlettesArguments)


class StarlettesArguments:
    """Our middleware with the arguments of Starlette's, and the cookie's attributes as that spells them."""

    def __init__(  # noqa: PLR0917 -- Starlette's
        self,
        app: Any,
        secret_key: Any,
        session_cookie: str = "session",
        max_age: int | None = 14 * 24 * 60 * 60,
        path: str = "/",
        same_site: Any = "lax",
        https_only: bool = False,
        domain: str | None = None,
        partitioned: bool = False,
    ) -> None:
        from typed_sessions.asgi import Sessions  # noqa: PLC0415 -- once the checkout is there

        sessions = Sessions(
            secret_key=secret_key,
            cookie_name=session_cookie,
            lifetime=timedelta(seconds=max(1, max_age or 1)),
            permanent=max_age is not None,
            path=path,
            samesite=same_site,
            secure=https_only,
            domain=domain,
            partitioned=partitioned,
        )
        self._app = sessions.middleware(app)
        self._max_age = max_age
        self._domain = domain

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle a connection."""

        async def spelling(message: Any) -> None:
            if "headers" in message:
                headers = [(name, self._spelled(name, value)) for name, value in message["headers"]]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, spelling)

    def _spelled(self, name: bytes, value: bytes) -> bytes:
        """Return a header as Starlette spells it: the path first, then the age, in lower case."""
        if name != b"set-cookie":
            return value
        cookie, *attributes = value.decode().split("; ")
        spelled = [f"{key.lower()}{equals}{text}" for key, equals, text in (each.partition("=") for each in attributes)]
        spelled.sort(key=lambda each: not each.startswith("path="))
        kept = [each for each in spelled if not each.startswith(("expires=", "max-age=", "domain="))]
        if self._max_age is not None and not cookie.endswith("="):
            kept.insert(1, f"Max-Age={self._max_age}")
        if self._domain is not None:
            kept.append(f"domain={self._domain}")
        return "; ".join([cookie, *kept]).encode()


def main(checkout: Path) -> int:
    """Say which tests of a checkout fail with our sessions, and why; return 1 if there is one without a reason."""
    plugins = ("-p", Path(__file__).stem, "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:asyncio")
    options = ("-q", "-rfE", "-W", "ignore", *plugins)  # newer releases of what it needs deprecate what it uses
    run = subprocess.run(  # noqa: S603 -- what the caller has checked out
        [sys.executable, "-m", "pytest", *options, "--rootdir", ".", "tests/middleware/test_session.py"],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (checkout, Path(__file__).parent, ROOT)))},
        capture_output=True,
        text=True,
        check=False,
    )
    last = (run.stdout or run.stderr).strip().splitlines()[-1]
    failed = set(re.findall(r"^(?:FAILED|ERROR) \S+?::(\w+)", run.stdout, re.MULTILINE))
    for name in sorted(failed):
        print(f"{name}: {EXPECTED.get(name, 'WHY?')}")
    print(last)
    return 0 if " passed" in last and failed <= EXPECTED.keys() else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
