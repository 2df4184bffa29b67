"""What a test suite needs: the contract that every `SessionStore` has to keep, for stores of one's own, too."""

from typed_sessions.testing.store_contract import ManualClock, StoreContract

__all__ = ["ManualClock", "StoreContract"]
