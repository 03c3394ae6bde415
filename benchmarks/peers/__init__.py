"""The same work done with other libraries: a module for each, which declares the same fields in its own way.

All of them use the collections, the validators and the indexes that this library made. Their names in Python are the
ones on the wire, so none of them pays for aliases. They are not typed, or not fully; so the type checker is told to let
that pass in these modules alone.
"""
