"""The MongoDB data layer of a community platform and a story generator, for async Python."""

__version__ = "0.1.0"
