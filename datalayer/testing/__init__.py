"""What the tests of an application need."""
