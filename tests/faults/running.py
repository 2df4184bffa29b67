"""The stores that the fault runs are made on. A new one gets a function and a line in `STORES`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from attrs import frozen

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


STORES: Final[dict[str, Callable[[], AbstractContextManager[Running]]]] = {
    "sqlite": _sqlite,
}


def running(store: str) -> AbstractContextManager[Running]:
    """Return what is entered for a store of `STORES`, or for one that runs already, by its URL."""
    return nullcontext(Running(store)) if "://" in store else STORES[store]()
