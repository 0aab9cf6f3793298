"""The console: pages for people, served by the service itself out of its own files.

Refuses anything from elsewhere, anything inline, and markup that a model, a user or an error wrote.
"""

from service.web.console.entrance import CHAT, HOME, SIGN_IN, SIGN_OUT, link
from service.web.console.refusals import refusing
from service.web.console.rooms import audit_routes, routes

__all__ = ["CHAT", "HOME", "SIGN_IN", "SIGN_OUT", "audit_routes", "link", "refusing", "routes"]
