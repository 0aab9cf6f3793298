"""The contract for programs: an OpenAPI 3.1 document of every route, and a page that shows it.

Refuses to be inferred: handlers read queries and bodies by hand, so the table says what they take.
"""
