"""Benchmarks. `python -m benchmarks` runs all of them; most parts are also commands: `python -m benchmarks.reads`."""
