"""Who may call: credential -> Caller. Knows no HTTP beyond the headers' text, and no SQL."""
