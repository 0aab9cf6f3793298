"""The audit: one row for every turn, whatever became of it. Knows no SQL."""
