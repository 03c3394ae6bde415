"""The physical schema, as data: one reviewed file for each collection, and the script that deploys it."""
