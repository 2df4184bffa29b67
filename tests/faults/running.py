"""The stores that the fault runs are made on. A new one gets a function and a line in `STORES`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from attrs import frozen

from tests.postgresql_servers import crashing_postgresql
from tests.valkey_servers import ValkeyServer, valkey, valkey_url

__all__ = ["STORES", "Running", "running"]


@frozen
class Running:
    """A store that is fresh and ready."""

    url: str
    """For `open_store`, in any process."""
    crash: Callable[[], None] | None = None
    """Kills the server with SIGKILL, and starts it again. None if none is: the application is killed."""


@contextmanager
def _sqlite() -> Generator[Running, None, None]:
    with TemporaryDirectory() as directory:
        yield Running(f"sqlite:///{Path(directory) / 'sessions.db'}")


@contextmanager
def _redis() -> Generator[Running, None, None]:
    """Valkey, which writes all to its file before it answers."""
    with TemporaryDirectory() as name, ExitStack() as running_now:
        directory = Path(name)

        def start() -> ValkeyServer:
            return running_now.enter_context(valkey(directory, appendonly="yes", appendfsync="always"))

        def crash() -> None:
            servers.pop().terminate()
            servers.append(start())

        servers = [start()]
        yield Running(valkey_url(directory), crash)


@contextmanager
def _postgresql() -> Generator[Running, None, None]:
    with crashing_postgresql() as (url, crash):
        yield Running(url, crash)


STORES: Final[dict[str, Callable[[], AbstractContextManager[Running]]]] = {
    "sqlite": _sqlite,
    "redis": _redis,
    "postgresql": _postgresql,
}


def running(store: str) -> AbstractContextManager[Running]:
    """Return what is entered for a store of `STORES`, or for one that runs already, by its URL."""
    return nullcontext(Running(store)) if "://" in store else STORES[store]()
