"""What happened, said once and told to many. Knows no HTTP, no SQL and no model's API."""
