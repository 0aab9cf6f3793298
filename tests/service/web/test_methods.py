"""OPTIONS names every method that an address takes, and only those."""

import re
from collections import defaultdict

import pytest

from service.web.schema.operations import OPERATIONS

TAKEN = defaultdict(set)
for _each in OPERATIONS:
    TAKEN[_each.path].add(_each.method.upper())


@pytest.mark.parametrize("path", TAKEN)
async def test_it_names_all_of_them(web, path):
    app = await web()
    answer = await app.client.options(re.sub(r"\{[^}]*\}", "x", path))
    assert answer.status_code == 204
    assert answer.headers["allow"].split(", ") == sorted(TAKEN[path] | {"OPTIONS"})
    assert answer.content == b""
    refused = await app.client.request("BREW", re.sub(r"\{[^}]*\}", "x", path))
    assert refused.status_code == 405
    assert set(refused.headers["allow"].split(", ")) == TAKEN[path] | {"OPTIONS"}
