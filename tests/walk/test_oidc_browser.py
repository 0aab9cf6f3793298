"""Signing in by a real browser at a provider of another site: the strict cookie goes along at once."""

import subprocess
import time
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.harness.need import need
from tests.harness.ports import claim
from tests.service.auth.mint import Mint
from tests.service.auth.rogue import Rogue

MINT = Mint("ES256", "k1")
PAGE = """<!doctype html><meta charset="utf-8"><form method="get" action="/agreed">
<input type="hidden" name="query" value="{}"></form><script>document.forms[0].submit()</script>"""


class Agreeing(Rogue):
    """A provider by the name of localhost, another site than 127.0.0.1, whose page signs in whoever comes."""

    def __init__(self):
        super().__init__(MINT)
        self.issuer = self.issuer.replace("127.0.0.1", "localhost")

    def answer(self, path):
        """Status and body of a GET; a page where that is bytes, elsewhere where it is text."""
        parts = urlsplit(path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/authorize":
            return 200, PAGE.format(urlencode(asked).replace("&", "&amp;")).encode()
        if parts.path != "/agreed":
            return super().answer(path)
        asked = {name: values[0] for name, values in parse_qs(asked["query"]).items()}
        now = int(time.time())
        who = {"iss": self.issuer, "aud": "parley", "sub": "ann", "role": "AUDITOR", "nonce": asked["nonce"]}
        self.token = MINT.token(who | {"iat": now, "exp": now + 60})
        back = urlencode({"code": "the-code", "state": asked["state"]})
        return 303, f"{asked['redirect_uri']}?{back}"


@pytest.fixture
def agreeing():
    with Agreeing() as provider:
        yield provider


def test_a_browser_that_signed_in_is_who_it_is_on_the_next_page(agreeing, start_service, tmp_path):
    port = claim()
    site = {"AGENT_PORT": str(port), "AGENT_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    provider = {"AGENT_OIDC_ISSUER": agreeing.issuer, "AGENT_OIDC_CLIENT_ID": "parley"}
    service = start_service(**site, **provider)
    seen = dom(f"{service.url}/console/oidc/start", tmp_path)
    assert [path.partition("?")[0] for path in agreeing.asked if path.startswith("/a")] == [
        "/authorize",
        "/agreed",
    ]
    assert "<strong>ann</strong>, role <strong>AUDITOR</strong>" in seen
    assert service.lines(type="access_denied") == []


def dom(url, folder):
    """What a browser shows once it has nothing more to load."""
    browser = need("chromium", why="a real browser")
    words = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        f"--user-data-dir={folder}/profile",
    ]
    words += ["--virtual-time-budget=8000", "--disable-background-networking", "--dump-dom", url]
    done = subprocess.run([browser, *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
