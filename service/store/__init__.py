"""The store: what is kept in the database; the only room that knows Piccolo, SQLite and asyncpg.

Refuses to leak a driver's error: whatever goes wrong in here leaves as `service.errors.DatabaseError`.
"""
