"""A session from the cookie of a request to the headers of its response: no framework, no I/O.

`session` is what a program sees, `settings` what the config says, `rules` that made ready for requests, `loading` what
happens at the first touch, and `lifecycle` what happens at the end.
Adapters, `interface` and `server` use it. It uses `stores` for their names only, and all that is below.
"""
