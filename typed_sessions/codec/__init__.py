"""Between the contents of a session and their payload: a schema and a serializer together.

`contents` has the two views of what is stored, `codec` the verbs decode, diff and encode. `generated`, with `functions`
and `notations`, is the path of what is usual, `explaining` that of the rest. `core`, `server` and `tools` use it.
"""
