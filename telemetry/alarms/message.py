"""Messages to the webhook, signed as Standard Webhooks are, and the way they take.

Refuses another's proxy and another's address: it is told directly, or not at all.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping

from msgspec import Struct

from config.secret import Secret
from telemetry import ids
from telemetry.alarms.alarm import Notice, payload
from telemetry.outlet import Send
from telemetry.post import post

PREFIX = "whsec_"
ATTEMPTS = 60
"""Of one message, about an hour: what is older than that is found in the log."""


class Message(Struct, frozen=True):
    """What the webhook gets; its id stays the same however often it is sent."""

    id: str
    body: str


def message_of(notice: Notice) -> Message:
    """A new message."""
    return Message(f"msg_{ids.uuid7()}", payload(notice).decode())


def sending(url: str, secret: Secret | None, clock: Callable[[], float] = time.time) -> Send[Message]:
    """How a message is sent. `clock` gives seconds since 1970."""

    def send(message: Message) -> None:
        body = message.body.encode()
        post(url, body, headers(message.id, body, int(clock()), secret), direct=True)

    return send


def headers(name: str, body: bytes, at: int, secret: Secret | None) -> Mapping[str, str]:
    """Those of https://www.standardwebhooks.com; without a secret there is no signature."""
    known = {"webhook-id": name, "webhook-timestamp": str(at)}
    return known | ({"webhook-signature": signature(name, body, at, secret)} if secret else {})


def signature(name: str, body: bytes, at: int, secret: Secret) -> str:
    """HMAC-SHA256 of id, time and body, by what stands in base64 after `whsec_`."""
    key = base64.b64decode(secret.reveal().removeprefix(PREFIX), validate=True)
    made = hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(made).decode()}"
