"""The parts of a log's verification, one kind of evidence each.

Refuses to fetch anything: rows, notes and keys are given to it.
"""
