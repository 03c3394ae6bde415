"""The physical schema as data: one file per collection for review, and the command that deploys it."""
