"""What a request brings: one bearer token, or one session cookie."""

import pytest

from service.auth.credentials import NEEDED, bearer, session_cookie
from service.errors import Unauthenticated

TOKEN = "parley_0123456789abcdef_0123"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
@pytest.mark.parametrize("blanks", [" ", "   "])
def test_the_token_is_what_follows_the_scheme(scheme, blanks):
    assert bearer(f"{scheme}{blanks}{TOKEN} ") == TOKEN


def test_blanks_within_it_stay_its_own():
    assert bearer("bearer  abc def ") == "abc def"


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer    ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Digest {TOKEN}",
        f"Bearer: {TOKEN}",
        f"Bearer\t{TOKEN}",
        f" Bearer {TOKEN}",
        f"BearerX {TOKEN}",
        "Bearer clé",
        "Bearer \u0441\u043b\u043e\u0432\u043e",
        "Bearer \xff\xfe",
        "\xa0Bearer x",
    ],
)
def test_a_header_that_brings_no_token_says_what_is_needed(header):
    with pytest.raises(Unauthenticated) as raised:
        bearer(header)
    assert raised.value.detail == NEEDED
    assert TOKEN not in NEEDED


@pytest.mark.parametrize(
    ("cookie", "value"),
    [
        ("session=a.b.c", "a.b.c"),
        ("theme=dark; session=a.b.c", "a.b.c"),
        ("session=a.b.c;theme=dark", "a.b.c"),
        ("a=1;  session = a.b.c ; b=2", "a.b.c"),
        ("session=a=b", "a=b"),
        ("xsession=1; session=2; sessions=3; Session=4", "2"),
    ],
)
def test_the_session_is_the_cookie_of_that_name(cookie, value):
    assert session_cookie(cookie) == value


@pytest.mark.parametrize(
    "cookie",
    [
        None,
        "",
        ";",
        "=",
        "session",
        "session=",
        "session= ",
        "Session=a.b.c",
        "xsession=a.b.c",
        "theme=session=a.b.c",
        "session=a; session=b",
        "session=a; session=a",
        "session=; session=a",
    ],
)
def test_no_cookie_or_several_are_none(cookie):
    with pytest.raises(Unauthenticated) as raised:
        session_cookie(cookie)
    assert raised.value.detail == NEEDED
