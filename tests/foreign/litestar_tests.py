"""Litestar's own tests of sessions with our plugin, by hand: `python -m tests.foreign.litestar_tests CHECKOUT`.

They are those of the middleware and its backends, of SessionAuth, of flash messages and of the test client. The
checkout's source is what is tested, twice: with records in memory and in Redis, for which it starts a server where
Litestar's tests expect theirs. It needs what those need, in an environment of its own. The exit status is 0 if all pass
but those of `EXPECTED`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent.parent

TESTS: Final = (
    "tests/unit/test_middleware/test_session",
    "tests/unit/test_middleware/test_logging_middleware.py::test_logging_middleware_with_session_middleware",
    "tests/unit/test_security",
    "tests/unit/test_plugins/test_flash.py",
    "tests/unit/test_testing",
    "tests/unit/test_connection/test_base.py",
    "tests/examples/test_middleware/test_session_middleware.py",
    "tests/examples/test_using_session_auth.py",
)

EXPECTED: Final = {
    "test_secret_validation": "asks for the length of an AES key; ours are derived from texts of any length",
    "test_key_validation[key3-True]": "has a cookie's name refused that browsers take",
    "test_max_age_validation[0-True]": "has a lifetime refused that Quart and Flask take",
    "test_set_session_cookies": "has what is too large for a cookie split into several; here it is refused",
    "test_load_session_cookies_and_expire_previous": "reads such cookies; here they are adopted, by another test",
    "test_non_default_store": "asks a store of Litestar's; ours are named by `store`",
    "test_set_store_name": "asks a store of Litestar's; ours are named by `store`",
}
"""Which tests of Litestar's own backends fail, and what they ask for that is otherwise here by design."""

_STORE: Final = "TYPED_SESSIONS_IN_LITESTARS_TESTS"
"""The environment variable that says where ours are kept that Litestar's tests keep on the server."""

_PORTS: Final = (6397, 6381)
"""Where Litestar's tests expect Redis and Valkey."""


def pytest_collection() -> None:
    """As a plugin of pytest: have the tests ask for no Docker, for there are servers already."""
    from tests import docker_service_fixtures  # type: ignore[attr-defined]  # noqa: PLC0415 -- that of the checkout

    docker_service_fixtures.DockerServiceRegistry.run_command = lambda *_: None


def pytest_load_initial_conftests() -> None:
    """As a plugin of pytest, which this module is, too: put our sessions in place of Litestar's two backends."""
    from litestar import Litestar  # noqa: PLC0415 -- that of the checkout
    from litestar.middleware.session import client_side, server_side  # noqa: PLC0415

    class InCookies(LitestarsArguments):
        """Stands for `CookieBackendConfig`."""

    class OnServer(LitestarsArguments):
        """Stands for `ServerSideSessionConfig`, and as sessions of which nobody is told the identifier."""

        def __new__(cls, **arguments: Any) -> Any:
            return LitestarsArguments(stores_in=os.environ[_STORE], **arguments)

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
    stores_in: str | None = None

    def __post_init__(self) -> None:
        from litestar.exceptions import ImproperlyConfiguredException  # noqa: PLC0415 -- that of the checkout

        from typed_sessions import ConfigurationError  # noqa: PLC0415 -- once the checkout is there

        try:
            self.ours_now()
        except ConfigurationError as error:
            raise ImproperlyConfiguredException(str(error)) from error

    @cached_property
    def ours(self) -> Any:
        """Our sessions with what the arguments are by then: tests change them."""
        return self.ours_now()

    def ours_now(self) -> Any:
        """Return our sessions with what the arguments are."""
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
            store=self.stores_in,
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
    """Say which tests of a checkout fail with our sessions, and why; return 1 if there is one without a reason."""
    from tests.valkey_servers import valkey  # noqa: PLC0415 -- of ours, where the plugin has those of the checkout

    plugins = ("-p", Path(__file__).stem, "-p", "no:cacheprovider", "-o", "addopts=", "-W", "ignore")
    path = os.pathsep.join(map(str, (checkout, Path(__file__).parent, ROOT)))
    unexplained = 0
    with ExitStack() as servers:
        for port in _PORTS:
            servers.enter_context(valkey(Path(servers.enter_context(TemporaryDirectory())), port=port))
        for store in ("memory://", f"redis://127.0.0.1:{_PORTS[0]}"):
            run = subprocess.run(  # noqa: S603 -- what the caller has checked out
                [sys.executable, "-m", "pytest", "-q", "-rfE", *plugins, "--rootdir", ".", *TESTS],
                cwd=checkout,
                env=os.environ | {"PYTHONPATH": path, _STORE: store},
                capture_output=True,
                text=True,
                check=False,
            )
            last = (run.stdout or run.stderr).strip().splitlines()[-1]
            for name in re.findall(r"^(?:FAILED|ERROR) \S+?::(\w+(?:\[.*\])?)", run.stdout, re.MULTILINE):
                why = EXPECTED.get(name) or EXPECTED.get(name.partition("[")[0])
                unexplained += why is None
                print(f"{name}: {why or 'WHY?'}")
            print(f"{store}: {last}")
            unexplained += " passed" not in last
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
