"""What a session may hold: the class that a user declares, its fields, and their types. The lowest folder.

`schema` is the class as a whole, `kinds` how each kind of class is read and made, `types` how each type of a field is
checked, written and read; beside them is what all of these need. Everybody may use it.
"""
