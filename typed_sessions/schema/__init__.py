"""The class that a user declares for a session, its fields, and their types. The lowest folder: everybody may use it.

`schema` is the class as a whole, `field` one field of it, `kinds` how each kind of class is read and made, `types` how
each type of a field is validated, written and read. Beside them is what all of these need.
"""
