"""What a test suite needs: the contract that every `SessionStore` has to keep, for stores of one's own, too.

`store_contract` has the tests, `store_machine` what hypothesis does to a store, `store_model` what that may answer.
Whoever writes a store uses it; nothing in the library imports it.
"""

from typed_sessions.testing.store_contract import ManualClock, StoreContract

__all__ = ["ManualClock", "StoreContract"]
