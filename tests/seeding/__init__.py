"""The seeded worlds."""
