"""Somebody's yes to a tool's call: asked for, waited for, recorded.

Refuses to run what nobody said yes to in time.
"""
