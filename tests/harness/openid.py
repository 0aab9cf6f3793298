"""An OpenID Provider that others wrote, npm's `oidc-provider`, pinned, and a browser of few words.

Refuses to install it twice: it is kept in the cache by the hash of its lock, whoever of several is first.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urljoin

import httpx

from tests.harness.npm import installed
from tests.harness.ports import claim
from tests.harness.process import Process
from tests.harness.waiting import wait

RECIPE = Path(__file__).parents[1] / "walk" / "openid"
SECRET = "secret_of+the/client%26=&:"


def program() -> Path:
    """The folder in which it is installed; ends the test where it cannot be had."""
    return installed("openid", RECIPE, ("provider.mjs",), why="the OpenID Provider of a registry")


class OpenId:
    """One provider on a free port. A context manager; `stop` and `start` are for tests of outages.

    Args:
        back: where it sends people.
        people: their claims by the name that they sign in with.
    """

    def __init__(self, back: str, people: Mapping[str, Mapping[str, Any]]) -> None:
        self.port = claim()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self._folder = program()
        client = {"redirect_uris": [back], "grant_types": ["authorization_code"], "response_types": ["code"]}
        secret = client | {"client_id": "parley", "client_secret": SECRET}
        public = client | {"client_id": "public", "token_endpoint_auth_method": "none"}
        setup = {"issuer": self.issuer, "port": self.port, "clients": [secret, public], "people": people}
        self._settings = {"SETUP": json.dumps(setup)}
        self._process: Process | None = None

    @property
    def settings(self) -> dict[str, str]:
        """What a service has to be set to for this provider."""
        return {
            "AGENT_OIDC_ISSUER": self.issuer,
            "AGENT_OIDC_CLIENT_ID": "parley",
            "AGENT_OIDC_CLIENT_SECRET": SECRET,
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start it and wait until it answers."""
        self._process = Process(["node", str(self._folder / "provider.mjs")], self._folder, self._settings)
        wait(self._answers, seen=self._process.said)
        return self

    def stop(self) -> None:
        """End it as a crash would."""
        if self._process:
            self._process.kill()

    def said(self) -> str:
        """What it printed."""
        assert self._process, "not started"
        return self._process.said()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.issuer}/.well-known/openid-configuration", trust_env=False).is_success
        except httpx.HTTPError:
            return False


class Browser(httpx.Client):
    """Keeps cookies and follows redirects one by one, as a person would see them.

    As browsers do, it takes a loopback address for as safe as TLS.
    """

    def __init__(self) -> None:
        hooks = {"response": [self._trust]}
        super().__init__(trust_env=False, timeout=30, headers={"accept": "text/html"}, event_hooks=hooks)

    def _trust(self, response: httpx.Response) -> None:
        assert response.url.host == "127.0.0.1"
        for cookie in self.cookies.jar:
            cookie.secure = False

    def sign_in(self, start: str, name: str) -> httpx.Response:
        """From where a sign-in starts to what the service answers in the end."""
        return self.get(self.answer_of(start, name))

    def answer_of(self, start: str, name: str) -> str:
        """The address that the provider sends this person to, not gone to yet."""
        begun = self.get(start)
        assert begun.status_code == 303, begun.text
        return self.authorized(begun.headers["location"], name)

    def authorized(self, url: str, name: str) -> str:
        """The same, from the provider's own address."""
        origin = urljoin(url, "/")
        for _ in range(20):
            response = self.get(url)
            if not response.is_redirect:
                response = self._said(response, name)
            url = urljoin(str(response.url), response.headers["location"])
            if not url.startswith(origin):
                return url
        raise AssertionError(f"the provider leads nowhere: {url}")

    def _said(self, page: httpx.Response, name: str) -> httpx.Response:
        """Fill in the form of the page."""
        action = re.search(r'<form[^>]* action="([^"]+)"', page.text)
        assert action, page.text
        prompt = re.search(r'name="prompt" value="(\w+)"', page.text)
        assert prompt, page.text
        data = {"prompt": prompt[1], "login": name, "password": "any"}
        response = self.post(urljoin(str(page.url), action[1]), data=data)
        assert response.is_redirect, response.text
        return response
