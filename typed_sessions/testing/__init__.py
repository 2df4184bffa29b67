"""What a test suite needs: fixtures for pytest, and the contract that every `SessionStore` has to keep.

`plugin` is what pytest loads by itself where the library is installed. For stores of one's own, `store_contract` has
the tests, `store_machine` what hypothesis does to a store, `store_model` what that may answer. Nothing in the library
imports any of it. A name is loaded when it is first asked for: pytest has to rewrite the assertions before that.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typed_sessions.testing.manual_clock import ManualClock
    from typed_sessions.testing.store_contract import PlacedStoreContract, StoreContract

__all__ = ["ManualClock", "PlacedStoreContract", "StoreContract"]

_MODULES: Final = {
    "ManualClock": "manual_clock",
    "PlacedStoreContract": "store_contract",
    "StoreContract": "store_contract",
}


if not TYPE_CHECKING:  # a checker would take every name for one that is there

    def __getattr__(name: str) -> object:
        """Return a public name, loaded from its module (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
