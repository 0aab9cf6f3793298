"""What keeps the stack from running, in words for whoever started it.

Refuses to carry anything but the sentence: it is printed as it stands.
"""


class StackError(Exception):
    """The stack does not run; the message says why and what would help."""


class CannotRun(StackError):
    """Something it needs is not there: a program, a free port, a sound setting."""


class Ended(StackError):
    """A part of it did not start, or ended by itself."""
