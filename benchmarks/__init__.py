"""Measurements against the driver; each module is a command: `python -m benchmarks.likes`."""
