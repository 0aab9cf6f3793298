"""What a conversation is told again and what it keeps, and who may be in it at one time.

Refuses half turns: what is kept is whole, or not kept.
"""
