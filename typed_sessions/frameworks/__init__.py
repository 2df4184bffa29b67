"""What frameworks ask to open and save sessions, and what the `Sessions` of all of them have in common.

`interface` keeps sessions in cookies or on the server, with the rules and stores of `applications`; `sessions` is what
every `Sessions` does. The other modules each serve one framework, or several. `quart`, `flask` and `asgi` use them.
"""
