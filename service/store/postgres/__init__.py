"""The store on a PostgreSQL server.

Refuses nothing itself: its modules say what they refuse.
"""
