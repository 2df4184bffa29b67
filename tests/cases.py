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


def for_each(
    arguments: str | tuple[str, ...], values: Collection[Any], *, ids: Collection[object] | None = None
) -> Callable[[Test], Test]:
    """Call a test once with each value of an argument. What other arguments hold, fixtures included, is shared.

    It is no test of hypothesis, which draws in a loop of its own.

    Args:
        arguments: the name of one, or of several that each value is a tuple of.
        values: of the argument.
        ids: what a failure calls each value; by default the value itself.
    """
    names = (arguments,) if isinstance(arguments, str) else arguments
    cases = [
        (name, {arguments: value} if isinstance(arguments, str) else dict(zip(arguments, value, strict=True)))
        for name, value in zip(values if ids is None else ids, values, strict=True)
    ]

    def decorate(test: Test) -> Test:
        assert cases, "a loop over nothing tries nothing"

        @wraps(test)
        def loop(**others: object) -> None:
            for name, given in cases:
                with case(name):
                    test(**others, **given)

        @wraps(test)
        async def async_loop(**others: object) -> None:
            for name, given in cases:
                with case(name):
                    await test(**others, **given)

        looped: Any = async_loop if inspect.iscoroutinefunction(test) else loop
        signature = inspect.signature(test)
        assert signature.parameters.keys() >= {*names}
        others = [parameter for name, parameter in signature.parameters.items() if name not in names]
        looped.__signature__ = signature.replace(parameters=others)  # pytest asks it what to pass
        return cast("Test", looped)

    return decorate
