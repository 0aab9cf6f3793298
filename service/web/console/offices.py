"""What the pages about sessions, keys and rules ask: the objects that the API's routes ask.

Refuses to hold an answer.
"""

from msgspec import Struct

from service.web.house_rules import HouseRules
from service.web.keys import Cabinet
from service.web.sessions import Opened
from service.web.tokens import Revoking


class Offices(Struct, frozen=True):
    """Who is let in, and by what rules."""

    sessions: Opened
    keys: Cabinet
    rules: HouseRules
    revoking: Revoking
