"""The store in one SQLite file.

Refuses nothing itself: its modules say what they refuse.
"""
