"""What is run by hand: the command `typed-sessions`, and what it does.

`cli` is the command, `inspection` shows a cookie, `lock` compares a schema with that of the last release, `stubs`
writes stubs. The command alone uses it: no module of the library imports it.
"""
