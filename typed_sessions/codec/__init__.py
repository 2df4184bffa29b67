"""Between the contents of a session and their payload: a schema and a serializer together.

`contents` are the two views of what is in a session, `codec` reads and writes them, `compiled` does the same fast.
`core` and `server` use it; it uses `serializers` and `schema`.
"""
