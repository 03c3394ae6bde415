"""`python -m datalayer.cli`."""

from datalayer.cli import main

main()
