"""Products that extend ours: own fields, indexes, queries and collections."""
