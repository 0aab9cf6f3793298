"""Whether anybody takes this process's metrics: known once the providers are made, asked by who measures.

Refuses to guess: until it is known that nobody does, all is measured.
"""

from threading import Event

NOBODY = Event()
"""Set where nobody takes them."""
