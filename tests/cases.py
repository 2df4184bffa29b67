"""Cases that are a loop in one test: thousands of tests take more time and memory than what they try."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast

__all__ = ["case", "for_each"]

Test = TypeVar("Test", bound=Callable[..., Any])


@contextmanager
def case(name: object) -> Iterator[None]:
    """Say in an error which case it was, as pytest does of a parameter."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"case: {name}")
        raise


def for_each(argument: str, values: Collection[object]) -> Callable[[Test], Test]:
    """Call a test once with each value of an argument. What other arguments hold, fixtures included, is shared.

    It is no test of hypothesis, which draws in a loop of its own.
    """

    def decorate(test: Test) -> Test:
        assert values, "a loop over nothing tries nothing"

        @wraps(test)
        def loop(**arguments: object) -> None:
            for value in values:
                with case(value):
                    test(**arguments, **{argument: value})

        @wraps(test)
        async def async_loop(**arguments: object) -> None:
            for value in values:
                with case(value):
                    await test(**arguments, **{argument: value})

        looped: Any = async_loop if inspect.iscoroutinefunction(test) else loop
        signature = inspect.signature(test)
        others = [parameter for name, parameter in signature.parameters.items() if name != argument]
        assert len(others) < len(signature.parameters)
        looped.__signature__ = signature.replace(parameters=others)  # pytest asks it what to pass
        return cast("Test", looped)

    return decorate
