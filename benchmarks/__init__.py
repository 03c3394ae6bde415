"""Measurements; `python -m benchmarks` makes all of them, and each module of a part is a command of its own."""
