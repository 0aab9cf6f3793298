"""The budgets' ledger: what turns may still cost, kept beside the events that say what they did.

Refuses to be a second truth: what is spent is the sum of the events, whatever else was put aside.
"""
