"""The engine, which knows no table."""
