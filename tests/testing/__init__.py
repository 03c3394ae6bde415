"""What the library gives to the tests of its users."""
