"""What several repositories share: the order within a parent, curricula, copies of authors, and recurrence."""
