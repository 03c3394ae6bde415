"""The same work done with other libraries: one module for each, which declares the same fields in its own way.

All of them use the collections, validators and indexes that this library created. Their field names in Python are those
in MongoDB, so none of them pays for aliases. They are not fully typed, so the type checker is relaxed for these modules
only.
"""
