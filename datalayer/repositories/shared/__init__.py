"""Code that several repositories share: order within a parent, curricula, copies of authors, points, notifications."""
