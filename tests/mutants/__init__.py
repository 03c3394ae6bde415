"""Mutation testing: small changes of the code, each of which a test should notice.

`python -m tests.mutants --help` (or `make mutants`) tells how to run it.
"""
