"""A session from the cookie of a request to the headers of its response: no framework, no I/O.

`session` is what a program sees, `state` what the library needs of it, `settings` the config, `rules` that made ready,
`loading` what happens at the first touch, `lifecycle` what happens at the end. All that stands above may use it.
"""
