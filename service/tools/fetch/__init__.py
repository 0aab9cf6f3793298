"""Fetching a page of the public web for a model: what may be asked for, of whom, and how much of it is read.

Refuses whatever is not the public web: a model that was talked into it must not reach what only we can reach.
"""
