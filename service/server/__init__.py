"""Runs the house on a port, under our own signals; the only room that knows uvicorn.

Refuses to know what is served: it is handed an application, and turns to tell of the end.
"""

from service.app import House
from service.server.servers import address_of, listen
from service.server.serving import serve, simulate

__all__ = ["House", "address_of", "listen", "serve", "simulate"]
