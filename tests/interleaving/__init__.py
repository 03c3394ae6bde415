"""Two calls at once, in every order that their commands can have."""
