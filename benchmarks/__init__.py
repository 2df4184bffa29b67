"""How fast sessions are opened and saved here, beside other libraries: `python -m benchmarks`."""
