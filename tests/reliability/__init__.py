"""Whole servers, and whole clients, that go down under load."""
