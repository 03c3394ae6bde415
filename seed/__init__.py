"""Fills a database for development: `python -m seed`."""
