"""The `datalayer` command."""
