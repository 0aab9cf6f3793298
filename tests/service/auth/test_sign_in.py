"""Signing in at a provider, attacked at every step: state, issuer, code, signature, claims, role."""

import hashlib
import json
import time
from base64 import b64decode
from urllib.parse import parse_qs, unquote_plus, urlsplit

import pytest

from config.secret import Secret
from service.auth.oidc import CODE, UNTRUSTED, Client
from service.auth.pending import LIFE, NOT_OURS, Answer, Drawer
from service.auth.provider import AWAY, UNSIGNED, Discovery, described
from service.auth.roles import NAMELESS, ROLELESS, TENANTLESS, Roles
from service.auth.sign_in import OTHER_ISSUER, SignIn
from service.errors import Forbidden, Unauthenticated, UpstreamUnreachable
from telemetry.person import person_of
from tests.service.auth.mint import Mint, b64, packed
from tests.service.auth.rogue import Rogue

BACK = "https://parley.example/console/oidc/callback"
MINT = Mint("ES256", "k1")
SECRET = "a+b/c%d e:f"
TABLE = {"heads": "AUDIT_HEAD", "staff": "AUDITEE"}


class House:
    """One service's sign-ins at one provider, on a clock that stands unless it is moved."""

    def __init__(self, rogue, secret=SECRET, roles=None):
        self.rogue, self.now, self.spent, self.begun = rogue, time.time(), set(), []
        client = Client("parley", Secret(secret) if secret else None, BACK, "openid profile")
        self.drawer = Drawer((b"k" * 32,), self.clock)
        roles = roles or Roles("sub", "role", None)
        self.sign_in = SignIn(Discovery(rogue.issuer), client, self.drawer, roles, self.spend, self.begin)

    def clock(self):
        return int(self.now * 1_000_000)

    async def spend(self, name, until, now):
        assert now < until
        new = name not in self.spent
        self.spent.add(name)
        return new

    async def begin(self, user, role, method):
        self.begun.append((user, role, method))
        return "token"

    async def start(self, to="/console/"):
        """The parameters of the provider's address, and the cookie."""
        url, cookie = await self.sign_in.start(to)
        return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}, cookie

    async def finish(self, state, cookie, **answer):
        given = Answer(**{"state": state, "code": "the-code", "iss": ""} | answer)
        return await self.sign_in.finish(given, cookie, self.clock())

    def claims(self, asked, **changes):
        now = int(self.now)
        good = {"iss": self.rogue.issuer, "aud": "parley", "sub": "ann", "role": "AUDITOR", "iat": now}
        return good | {"exp": now + 300, "nonce": asked["nonce"]} | changes

    async def signed_in(self, mint=MINT, header=None, **changes):
        """Sign in with an ID token of these claims; None takes one out."""
        asked, cookie = await self.start()
        claims = {name: value for name, value in self.claims(asked, **changes).items() if value is not None}
        self.rogue.token = mint.token(claims, header)
        return await self.finish(asked["state"], cookie)

    async def refusal(self, kind=Unauthenticated, **how):
        with pytest.raises(kind) as raised:
            await self.signed_in(**how)
        assert self.begun == []
        return raised.value.detail


@pytest.fixture
def rogue():
    with Rogue(MINT) as rogue:
        yield rogue


@pytest.fixture
def house(rogue):
    return House(rogue)


async def test_the_question_has_all_that_binds_the_answer(house):
    asked, cookie = await house.start("/console/chat")
    assert asked["response_type"] == "code"
    assert (asked["client_id"], asked["redirect_uri"]) == ("parley", BACK)
    assert asked["scope"] == "openid profile"
    assert asked["code_challenge_method"] == "S256"
    pending = house.drawer.open(cookie, asked["state"])
    assert asked["code_challenge"] == b64(hashlib.sha256(pending.verifier.encode()).digest())
    assert (asked["nonce"], pending.to) == (pending.nonce, "/console/chat")
    assert min(map(len, (pending.state, pending.nonce, pending.verifier))) >= 43
    for secret in (pending.verifier, pending.nonce, pending.state):
        assert secret not in cookie
    assert pending.verifier not in repr(asked)


async def test_each_question_is_new(house):
    asked = [(await house.start())[0] for _ in range(20)]
    for name in ("state", "nonce", "code_challenge"):
        assert len({each[name] for each in asked}) == 20


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
async def test_who_the_provider_names_has_a_session(house, rogue, algorithm):
    mint = Mint(algorithm, "other")
    rogue.keys = [MINT.jwk, mint.jwk]
    assert await house.signed_in(mint) == ("token", "/console/")
    assert house.begun == [("ann", "AUDITOR", "oidc")]


async def test_the_code_goes_back_with_verifier_and_secret(house, rogue):
    await house.signed_in()
    (form,) = rogue.posted
    assert (form["grant_type"], form["code"], form["redirect_uri"]) == (
        "authorization_code",
        "the-code",
        BACK,
    )
    assert len(form["code_verifier"]) == 86
    assert "client_secret" not in form
    scheme, _, told = rogue.headers[0]["Authorization"].partition(" ")
    user, _, secret = b64decode(told).decode().partition(":")
    assert (scheme, unquote_plus(user), unquote_plus(secret)) == ("Basic", "parley", SECRET)


@pytest.mark.parametrize("methods", [["client_secret_post"], ["client_secret_post", "private_key_jwt"]])
async def test_the_secret_goes_in_the_body_where_the_provider_takes_it_only_there(house, rogue, methods):
    rogue.discovery = {"token_endpoint_auth_methods_supported": methods}
    await house.signed_in()
    assert (rogue.posted[0]["client_id"], rogue.posted[0]["client_secret"]) == ("parley", SECRET)
    assert "Authorization" not in rogue.headers[0]


async def test_a_public_client_has_the_verifier_alone(rogue):
    house = House(rogue, secret=None)
    await house.signed_in()
    assert rogue.posted[0]["client_id"] == "parley"
    assert "Authorization" not in rogue.headers[0]


async def test_nothing_is_fetched_before_somebody_signs_in_and_then_once(house, rogue):
    assert rogue.asked == []
    for _ in range(3):
        await house.signed_in()
    assert rogue.asked.count("/.well-known/openid-configuration") == rogue.asked.count("/keys") == 1


# state, cookie


async def test_an_answer_counts_once(house):
    asked, cookie = await house.start()
    house.rogue.token = MINT.token(house.claims(asked))
    await house.finish(asked["state"], cookie)
    with pytest.raises(Unauthenticated, match=NOT_OURS):
        await house.finish(asked["state"], cookie)
    assert len(house.begun) == len(house.rogue.posted) == 1


async def test_somebody_elses_answer_is_not_finished_here(house):
    """Login CSRF: the attacker's own state and code, in the browser of another, who has begun or has not."""
    theirs, _ = await house.start()
    _, mine = await house.start()
    for cookie in (mine, ""):
        with pytest.raises(Unauthenticated, match=NOT_OURS):
            await house.finish(theirs["state"], cookie)
    assert house.begun == house.rogue.posted == []


@pytest.mark.parametrize("state", ["", "x", "\ud800", "é" * 43])
async def test_another_state_is_none(house, state):
    _, cookie = await house.start()
    with pytest.raises(Unauthenticated, match=NOT_OURS):
        await house.finish(state, cookie)


async def test_a_sign_in_is_open_for_ten_minutes(house):
    asked, cookie = await house.start()
    house.now += LIFE
    with pytest.raises(Unauthenticated, match=NOT_OURS):
        await house.finish(asked["state"], cookie)
    house.now -= 0.001
    house.rogue.token = MINT.token(house.claims(asked))
    await house.finish(asked["state"], cookie)


async def test_a_cookie_that_was_changed_or_is_anothers_opens_nothing(house):
    asked, cookie = await house.start()
    others = Drawer((b"o" * 32,), house.clock)
    theirs = others.seal(others.begin("/console/"))
    middle = len(cookie) // 2
    changed = cookie[:middle] + ("A" if cookie[middle] != "A" else "B") + cookie[middle + 1 :]
    for wrong in (changed, cookie[:-4], cookie + "AAAA", theirs, "é", "=", "A" * 5_000, '""'):
        with pytest.raises(Unauthenticated, match=NOT_OURS):
            await house.finish(asked["state"], wrong)
    assert house.spent == set()


# the answer


async def test_an_answer_of_another_provider_is_refused_before_its_code_is_told_anybody(house, rogue):
    """The mix-up attack (RFC 9207)."""
    asked, cookie = await house.start()
    for named in ("https://evil.example", rogue.issuer + "/", rogue.issuer.upper()):
        with pytest.raises(Unauthenticated, match=OTHER_ISSUER):
            await house.finish(asked["state"], cookie, iss=named)
    assert rogue.posted == []
    rogue.token = MINT.token(house.claims(asked))
    assert await house.finish(asked["state"], cookie, iss=rogue.issuer)


async def test_a_provider_that_always_names_itself_must(house, rogue):
    rogue.discovery = {"authorization_response_iss_parameter_supported": True}
    asked, cookie = await house.start()
    with pytest.raises(Unauthenticated, match=OTHER_ISSUER):
        await house.finish(asked["state"], cookie)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        ("access_denied", Forbidden, "The sign-in provider refused: access_denied."),
        ("login_required", Unauthenticated, "The sign-in provider refused: login_required."),
        ("temporarily_unavailable", UpstreamUnreachable, AWAY),
        ("server_error", UpstreamUnreachable, AWAY),
        ("<script>", Unauthenticated, "The sign-in provider refused: no code."),
        ("", Unauthenticated, "The sign-in provider refused: no code."),
    ],
)
async def test_the_providers_no_is_told(house, error, kind, said):
    asked, cookie = await house.start()
    with pytest.raises(kind) as raised:
        await house.finish(asked["state"], cookie, code="", error=error)
    assert raised.value.detail == said
    with pytest.raises(Unauthenticated, match=NOT_OURS):
        await house.finish(asked["state"], cookie)


async def test_an_error_counts_though_a_code_came_with_it(house):
    asked, cookie = await house.start()
    with pytest.raises(Forbidden):
        await house.finish(asked["state"], cookie, error="access_denied")
    assert house.rogue.posted == []


# the token endpoint


@pytest.mark.parametrize(
    "reply",
    [
        (400, {"error": "invalid_client"}),
        (401, {"error": "invalid_client", "error_description": "nobody"}),
        (500, {"error": "invalid_grant"}),
        (502, b"<html>"),
        (200, b"[]"),
        (200, b"{"),
        (200, {}),
        (200, {"id_token": 1}),
        (200, {"access_token": "a", "token_type": "Bearer"}),
        (200, {"access_token": "a", "id_token": "b", "expires_in": "soon"}),
        (200, b"x" * 300_000),
        (302, {}),
    ],
    ids=str,
)
async def test_a_token_endpoint_that_is_of_no_use_is_the_providers_fault(house, rogue, reply):
    rogue.reply = reply
    assert await house.refusal(UpstreamUnreachable) == AWAY


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_token_endpoint_that_leads_elsewhere_is_not_followed(house, rogue, status):
    rogue.reply, rogue.leads = (status, {}), "/elsewhere"
    assert await house.refusal(UpstreamUnreachable) == AWAY
    assert "/elsewhere" not in rogue.asked


async def test_a_code_that_the_provider_does_not_take_is_the_callers(house, rogue):
    rogue.reply = 400, {"error": "invalid_grant"}
    assert await house.refusal() == CODE


# the ID token's signature


@pytest.mark.parametrize("name", ["none", "None", "nOnE", "HS256", "HS512"])
async def test_an_algorithm_without_a_key_pair_is_refused(house, name):
    for forger in (MINT, Mint("HS256", "k1", MINT.pem.encode()), Mint("HS256", "k1", b"x" * 32)):
        header = {"alg": name, "typ": "JWT", "kid": "k1"}
        assert await house.refusal(mint=forger, header=header) in (UNSIGNED, UNTRUSTED)


async def test_a_token_without_a_signature_is_refused(house):
    asked, cookie = await house.start()
    for header in ({"alg": "none"}, {"alg": "ES256", "kid": "k1"}):
        unsigned = f"{b64(packed(header))}.{b64(packed(house.claims(asked)))}"
        for token in (f"{unsigned}.", unsigned, f"{unsigned}.AAAA"):
            house.rogue.token = token
            again, cookie = await house.start()
            with pytest.raises(Unauthenticated):
                await house.finish(again["state"], cookie)
    assert house.begun == []


async def test_the_public_key_as_a_shared_one_is_refused(house, rogue):
    """Key confusion; even where the provider would tell a shared key to everybody."""
    rsa = Mint("RS256", "rsa")
    rogue.keys = [rsa.jwk, {"kty": "oct", "k": b64(rsa.pem.encode()), "kid": "oct", "alg": "HS256"}]
    for kid in ("rsa", "oct"):
        forger = Mint("HS256", kid, rsa.pem.encode())
        assert await house.refusal(mint=forger) == UNSIGNED


async def test_a_strangers_key_is_refused(house):
    assert await house.refusal(mint=Mint("ES256", "k1"))
    assert await house.refusal(mint=Mint("ES256", "k2")) == UNSIGNED


async def test_a_token_that_brings_its_own_key_is_refused(house):
    forger = Mint("ES256", "k1")
    for more in ({"jwk": forger.jwk}, {"jku": "http://127.0.0.1:9/keys"}, {"x5u": "http://127.0.0.1:9"}):
        await house.refusal(mint=forger, header=forger.header | more)


async def test_an_algorithm_that_the_provider_does_not_use_is_refused(house, rogue):
    rogue.discovery = {"id_token_signing_alg_values_supported": ["RS256"]}
    assert await house.refusal() == UNSIGNED


# the ID token's claims


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": ""},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": None},
        {"aud": []},
        {"aud": ["parley", "another"]},
        {"aud": ["parley", "another"], "azp": "another"},
        {"azp": "another"},
        {"exp": 1},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": float("nan")},
        {"iat": None},
        {"iat": 9_999_999_999},
        {"nbf": 9_999_999_999},
        {"sub": None},
        {"sub": 7},
        {"at_hash": "of-another-token"},
        {"at_hash": 7},
    ],
    ids=json.dumps,
)
async def test_claims_of_anything_else_are_refused(house, changes):
    assert (await house.refusal(**changes)).startswith(UNTRUSTED)


async def test_claims_that_fit_are_taken(house):
    access = b64(hashlib.sha256(b"opaque").digest()[:16])
    await house.signed_in(aud=["parley", "another"], azp="parley", at_hash=access)
    await house.signed_in(exp=int(house.now) - 20)
    assert len(house.begun) == 2


async def test_a_claim_that_stands_twice_is_refused(house):
    asked, cookie = await house.start()
    text = json.dumps(house.claims(asked))
    house.rogue.token = MINT.token(text.replace("{", '{"sub": "head", ', 1).encode())
    with pytest.raises(Unauthenticated, match=UNTRUSTED):
        await house.finish(asked["state"], cookie)


# who it is


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"role": "CFO"}, "CFO"),
        ({"role": ["CFO"]}, "CFO"),
    ],
)
async def test_without_a_table_the_claim_is_the_role(house, claims, role):
    await house.signed_in(**claims)
    assert house.begun[0][1] == role


@pytest.mark.parametrize(
    "role", [None, "", "cfo", "A B", 7, ["CFO", "GUEST"], [], {"CFO": True}, "A" * 33, True]
)
async def test_without_a_role_nobody_is_let_in(house, role):
    assert await house.refusal(Forbidden, role=role) == ROLELESS


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"groups": "staff"}, "AUDITEE"),
        ({"groups": ["x", "staff"]}, "AUDITEE"),
        ({"groups": ["staff", "heads"]}, "AUDIT_HEAD"),
        ({"groups": ["Heads"]}, None),
        ({"groups": ["AUDIT_HEAD"]}, None),
        ({"groups": None}, None),
        ({"role": "heads"}, None),
    ],
)
async def test_a_table_says_which_value_is_which_role(rogue, claims, role):
    house = House(rogue, roles=Roles("sub", "groups", TABLE))
    if role is None:
        assert await house.refusal(Forbidden, **claims) == ROLELESS
    else:
        await house.signed_in(**claims)
        assert house.begun == [("ann", role, "oidc")]


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["staff"]}}),
        ("https://parley.example/role", {"https://parley.example/role": "staff"}),
        ("a.b", {"a.b": "staff", "a": {"b": "heads"}}),
    ],
)
async def test_a_claim_may_lie_within_another_or_have_dots_itself(rogue, name, claims):
    house = House(rogue, roles=Roles("sub", name, TABLE))
    await house.signed_in(**claims)
    assert house.begun == [("ann", "AUDITEE", "oidc")]


@pytest.mark.parametrize("user", ["", "a b", "a\n", "x" * 129, 7, None, ["ann"]])
async def test_a_name_that_is_none_is_not_let_in(rogue, user):
    house = House(rogue, roles=Roles("name", "role", None))
    assert await house.refusal(Forbidden, name=user) == NAMELESS


@pytest.mark.parametrize("verified", [None, False, "true", 1])
async def test_an_address_that_nobody_verified_is_nobodys(rogue, verified):
    house = House(rogue, roles=Roles("email", "role", None))
    email = "ann@parley.example"
    assert await house.refusal(Forbidden, email=email, email_verified=verified) == NAMELESS
    await house.signed_in(email=email, email_verified=True)
    assert house.begun == [(email, "AUDITOR", "oidc")]


@pytest.mark.parametrize("tenant", [None, "", "a b", 7, ["acme"], "a\x1fb"])
async def test_where_a_claim_tells_the_tenant_whoever_has_none_is_not_let_in(rogue, tenant):
    house = House(rogue, roles=Roles("sub", "role", None, "org"))
    assert await house.refusal(Forbidden, org=tenant) == TENANTLESS
    await house.signed_in(org="acme")
    assert house.begun == [(person_of("ann", "acme"), "AUDITOR", "oidc")]


# discovery


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"jwks_uri": "/keys"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
    ids=json.dumps,
)
async def test_a_provider_that_says_no_good_of_itself_is_not_used(house, rogue, changes):
    rogue.discovery = changes
    with pytest.raises(UpstreamUnreachable, match=AWAY):
        await house.start()


def test_behind_https_every_endpoint_is():
    with Rogue() as rogue:
        issuer = "https://provider.example"
        document = json.dumps(rogue.described | {"issuer": issuer}).encode()
    with pytest.raises(ValueError, match="scheme"):
        described(document, issuer)
    whole = document.replace(b"http://", b"https://")
    assert described(whole, issuer).issuer == issuer


async def test_a_provider_that_is_away_is_told():
    with Rogue(MINT) as rogue:
        house = House(rogue)
        await house.signed_in()
    asked, cookie = await house.start()
    with pytest.raises(UpstreamUnreachable, match=AWAY):
        await house.finish(asked["state"], cookie)
    gone = House(rogue)
    with pytest.raises(UpstreamUnreachable, match=AWAY):
        await gone.start()
