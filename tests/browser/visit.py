"""A person at the console, in a real Chromium, with everything that browser did and said on the way.

Refuses what no visit may have: a request to another host, a word on the browser's console, a breach of the
page's policy, a dialog that only a script of somebody else's would open.
"""

import re
from collections.abc import Sequence
from typing import Any, Self

from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from tests.harness.service import Service
from tests.service.auth.mint import SECRET, Mint

CHAT = "/console/chat"
HARD = 20_000
"""Milliseconds that something may take on a machine that does much else."""
BREACH = 'addEventListener("securitypolicyviolation", (e) => console.error(`policy: ${e.violatedDirective}`))'
REFUSED = re.compile(r"the server responded with a status of (\d+)")
UNREACHED = "net::ERR"
ISSUING = {"AGENT_JWT_SECRET": SECRET}
"""What makes a service take the cookies of visitors."""


class Visit:
    """One person's window on a service; `user` None is nobody. A context manager: leaving looks at it all.

    `expected` are statuses that the visit is meant to meet; `away` is
    set once the service is meant to be gone; `options` are the browser context's.
    """

    def __init__(
        self,
        browser: Browser,
        service: Service,
        user: str | None,
        role: str = "AUDITEE",
        expected: Sequence[int] = (),
        **options: Any,
    ) -> None:
        self.service, self.user, self.role, self.expected = service, user, role, frozenset(expected)
        self.away = False
        self.requests: list[str] = []
        self.said: list[str] = []
        self.context = browser.new_context(base_url=service.url, reduced_motion="reduce", **options)
        self.context.set_default_timeout(HARD)
        self.context.add_init_script(BREACH)
        if user:
            token = Mint("HS256").token(sub=user, role=role)
            self.context.add_cookies([{"name": "session", "value": token, "url": service.url}])
        self.page = self._watched(self.context.new_page())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.context.close()
        if kind is None:
            assert self.said == []
            elsewhere = [url for url in self.requests if not url.startswith(f"{self.service.url}/")]
            assert elsewhere == []

    def open(self, path: str = CHAT) -> Page:
        """Go there, and wait until the page is what it will be."""
        self.page.goto(path, wait_until="networkidle")
        return self.page

    def ask(self, message: str) -> None:
        """Type a question and send it."""
        box = self.page.get_by_label("Your question")
        box.fill(message)
        box.press("Enter")

    def answered(self, count: int = 1) -> None:
        """Wait until so many answers on the page are whole."""
        self.page.locator(".figures .rating").nth(count - 1).wait_for()

    def _watched(self, page: Page) -> Page:
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", self._note)
        return page

    def _note(self, request: Request) -> None:
        self.requests.append(request.url)

    def _hear(self, message: ConsoleMessage) -> None:
        met = REFUSED.search(message.text)
        if not (met and int(met[1]) in self.expected) and not (self.away and UNREACHED in message.text):
            self.said.append(f"{message.type}: {message.text}")
