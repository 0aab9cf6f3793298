"""Refusals as pages: each leads on, and says what helps."""

import pytest

from service.web.console.advice import HOME, START, advice


def of(status, path, *, provider=False):
    return advice({"status": status, "title": "Its title"}, path, provider=provider)


@pytest.mark.parametrize("provider", [True, False])
def test_nobody_is_led_to_where_one_signs_in(provider):
    told = of(401, "/console/keys", provider=provider)
    assert told.title == "Sign in"
    assert told.links == (((START, "Sign in"),) if provider else ())
    assert told.printed is not provider


@pytest.mark.parametrize("provider", [True, False])
def test_who_opens_a_used_link_may_be_signed_in_by_it(provider):
    told = of(401, "/console/sign-in", provider=provider)
    assert told.title == "This link signs in nobody"
    assert told.links[-1] == (HOME, "To the console")


@pytest.mark.parametrize(
    ("status", "title", "words"),
    [
        (503, "The sign-in provider cannot be reached", "Try again"),
        (403, "You are not let in", "Sign in again"),
        (401, "The sign-in did not finish", "Sign in again"),
        (400, "The sign-in did not finish", "Sign in again"),
    ],
)
def test_a_sign_in_that_ended_early_is_begun_anew(status, title, words):
    told = of(status, "/console/oidc/callback", provider=True)
    assert (told.title, told.links) == (title, ((START, words),))


def test_what_is_below_a_page_leads_back_to_it():
    told = of(404, "/console/keys/0123/revoke")
    assert told.links == (("/console/keys", "To Keys"), (HOME, "To the console"))
    assert of(403, "/console/keys").links == ((HOME, "To the console"),)
    assert of(404, "/console/nowhere").title == "Its title"


async def test_the_pages_say_so(rooms, head):
    used = await rooms.get("/console/sign-in?code=x")
    assert used.status_code == 401
    assert "<h1>This link signs in nobody</h1>" in used.text
    assert "The sign-in code is unknown, used or expired." in used.text
    gone = await rooms.get("/console/keys/0123456789abcdef/revoke", head)
    assert gone.status_code == 404
    assert '<a class="button" href="/console/keys">To Keys</a>' in gone.text
