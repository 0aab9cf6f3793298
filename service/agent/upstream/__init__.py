"""The model's API: the protocol's implementations, how often they are asked, and when they are left alone.

Refuses to know of turns, tools or people: a prompt comes in, pieces and a reply go out.
"""
