"""Litestar's own tests of sessions with our plugin, by hand: `python -m tests.foreign.litestar_tests CHECKOUT`.

They are those of the middleware, of SessionAuth, of flash messages and of the test client. The checkout's source is
what is tested. It needs what Litestar's tests need, in an environment of its own. The exit status is 0 if all pass.

Its tests of how its own backends encrypt, split and name what they keep are not about sessions as such.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent.parent

TESTS: Final = (
    "tests/unit/test_middleware/test_session/test_integration.py",
    "tests/unit/test_middleware/test_session/test_middleware.py",
    "tests/unit/test_middleware/test_logging_middleware.py::test_logging_middleware_with_session_middleware",
    "tests/unit/test_security/test_session_auth.py",
    "tests/unit/test_plugins/test_flash.py",
    "tests/unit/test_testing/test_test_client.py",
    "tests/examples/test_middleware/test_session_middleware.py",
    "tests/examples/test_using_session_auth.py",
)


def pytest_load_initial_conftests() -> None:
    """As a plugin of pytest, which this module is, too: put our sessions in place of Litestar's two backends."""
    from litestar import Litestar  # noqa: PLC0415 -- that of the checkout
    from litestar.middleware.session import client_side, server_side  # noqa: PLC0415

    class InCookies(LitestarsArguments):
        """Stands for `CookieBackendConfig`."""

    class OnServer(LitestarsArguments):
        """Stands for `ServerSideSessionConfig`, and as sessions of which nobody is told the identifier."""

        def __new__(cls, **arguments: Any) -> Any:
            return LitestarsArguments(stored=True, **arguments)

    vars(client_side).update(CookieBackendConfig=InCookies)
    vars(server_side).update(ServerSideSessionConfig=OnServer)
    begin = Litestar.__init__

    def begin_with_plugin(self: Any, *arguments: Any, **options: Any) -> None:
        found = [each for each in options.get("middleware") or () if hasattr(each, "sessions")]
        options["plugins"] = [*(each.sessions for each in found), *(options.get("plugins") or ())]
        options["middleware"] = [each for each in options.get("middleware") or () if each not in found]
        begin(self, *arguments, **options)

    Litestar.__init__ = begin_with_plugin  # type: ignore[method-assign]


@dataclass(kw_only=True, eq=False)
class LitestarsArguments:
    """Our sessions with the arguments of Litestar's configurations, and what those are asked for."""

    secret: bytes = b"a secret key that is long enough"
    key: str = "session"
    max_age: int = 14 * 24 * 60 * 60
    scopes: Any = frozenset({"http", "websocket"})
    path: str = "/"
    domain: str | None = None
    secure: bool = False
    httponly: bool = True
    samesite: Any = "lax"
    exclude: Any = None
    exclude_opt_key: str = "skip_session"
    session_id_bytes: int = 32
    renew_on_access: bool = False
    store: str = "sessions"
    stored: bool = False

    @cached_property
    def ours(self) -> Any:
        from typed_sessions.litestar import Sessions  # noqa: PLC0415 -- once the checkout is there

        return Sessions(
            secret_key=self.secret,
            cookie_name=self.key,
            lifetime=timedelta(seconds=self.max_age),
            path=self.path,
            domain=self.domain,
            secure=self.secure,
            httponly=self.httponly,
            samesite=self.samesite,
            store="memory://" if self.stored else None,
            refresh_each_request=self.renew_on_access,
        )

    @property
    def backend(self) -> Any:
        config = self.ours.backend_config()
        config.exclude, config.exclude_opt_key = self.exclude, self.exclude_opt_key
        return config

    @property
    def middleware(self) -> Any:
        """The middleware; an application that is given it gets the plugin."""
        from litestar.middleware import DefineMiddleware  # noqa: PLC0415 -- that of the checkout

        config = self.backend

        class WithSessions(DefineMiddleware):
            sessions = PluginWith(self.ours, config)

        defined = config.middleware
        return WithSessions(defined.middleware, *defined.args, **defined.kwargs)

    def _backend_class(self, **_: object) -> Any:
        config = self.backend
        return type(config)._backend_class(config=config)


class PluginWith:
    """The plugin, with the configuration that a test has changed."""

    def __init__(self, sessions: Any, config: Any) -> None:
        self.sessions = sessions
        self.config = config

    def on_app_init(self, app_config: Any) -> Any:
        """Do as the plugin does. Litestar calls this."""
        self.sessions.backend_config = lambda: self.config
        return self.sessions.on_app_init(app_config)


def main(checkout: Path) -> int:
    """Say which tests of a checkout fail with our sessions; return 1 if there are any."""
    skipped = ("-k", "not redis_store and not valkey_store")  # Litestar's stores, which are not asked
    options = (
        *skipped,
        "-q",
        "-rfE",
        "-p",
        Path(__file__).stem,
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=",
        "-W",
        "ignore",
    )
    run = subprocess.run(  # noqa: S603 -- what the caller has checked out
        [sys.executable, "-m", "pytest", *options, "--rootdir", ".", *TESTS],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (checkout, Path(__file__).parent, ROOT)))},
        check=False,
    )
    return run.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
