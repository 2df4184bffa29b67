"""A framework with no more than sessions need of one, for tests that call a session interface themselves."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from attrs import Factory, define
from werkzeug.datastructures import Headers

__all__ = ["App", "Request", "Response", "finished"]

T = TypeVar("T")


@define
class App:
    """An application that has no hash, as one of the user's may have none."""

    config: dict[str, Any]


@define
class Request:
    cookies: Mapping[str, str]


@define
class Response:
    headers: Headers = Factory(Headers)


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        returned: T = stop.value
        return returned
    raise AssertionError("it waits")
