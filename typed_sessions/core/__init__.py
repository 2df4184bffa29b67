"""A session from the cookie of a request to the headers of its response: no framework, no I/O.

`session` is what a program sees, `settings` what the config says, `engine` what happens at the start and at the end.
Adapters, `interface` and `server` use it. It uses `stores` for their names only, and all that is below.
"""
