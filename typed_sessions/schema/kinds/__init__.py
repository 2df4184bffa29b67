"""How each kind of declared class is read, built and changed. `schema`, `codec` and `tools` use it.

A `Kind` knows one class: the schema of a session, or one nested in it. `known` finds the kind of a class.
"""
