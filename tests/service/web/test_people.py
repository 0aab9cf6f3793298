"""Every page for people has a line in the table of who may what; one without fails."""

from litestar import Litestar

from service.web.schema.operations import OPERATIONS
from tests.hostile.routes import ROUTES, Theirs
from tests.hostile.table import OPEN_PAGES, PEOPLE

PROGRAMS = {each.path.partition("{")[0] for each in OPERATIONS}


async def test_every_page_for_people_has_its_line(web, monkeypatch):
    made = []
    monkeypatch.setattr(
        "service.app.face.Litestar", lambda **named: made.append(Litestar(**named)) or made[0]
    )
    app = await web()
    routed = {
        f"{method} {route.path}"
        for route in made[0].routes
        for method in route.methods - {"OPTIONS", "HEAD"}
        if route.path.partition("{")[0] not in PROGRAMS
    }
    assert routed == set(PEOPLE)
    for page in (each for each in ROUTES if each.page):
        asked = Theirs().request(page, "word")
        answer = await app.client.request(**asked, headers={"authorization": ""})
        assert (answer.status_code == 401) is (page.id not in OPEN_PAGES), page.id
