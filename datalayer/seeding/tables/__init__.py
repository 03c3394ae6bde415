"""A module for each family of tables: what its documents are, and how many."""
