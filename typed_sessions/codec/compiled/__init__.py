"""How the values of each type are written and read in each built-in format, by generated functions."""
