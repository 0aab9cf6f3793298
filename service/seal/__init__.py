"""The seal of the audit log: hashes, tree, checkpoints, keys and sealed text.

Refuses SQL, files and clocks: everything here is a function of what it is given.
"""
