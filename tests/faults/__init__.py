"""What a fault in the middle of a call leaves behind."""
