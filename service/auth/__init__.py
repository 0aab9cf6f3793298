"""Who may call: credential -> Caller. Knows no HTTP beyond the header's text, and no SQL."""
