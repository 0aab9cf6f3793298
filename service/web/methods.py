"""What OPTIONS says: every method that an address takes.

Refuses Litestar's own answer: where several handlers share an address, it names only the first one's methods.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from litestar import HttpMethod, Response, route
from litestar.handlers import HTTPRouteHandler


def telling(handlers: Sequence[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """The same handlers behind one for each address's OPTIONS: whoever comes first is kept."""
    taken: dict[str, set[str]] = defaultdict(set)
    for each in handlers:
        for path in each.paths:
            taken[path] |= {*map(str, each.http_methods)}
    return [*_answers(taken), *handlers]


def _answers(taken: dict[str, set[str]]) -> Iterator[HTTPRouteHandler]:
    for path, methods in taken.items():
        if HttpMethod.OPTIONS not in methods:
            yield _answer(path, ", ".join(sorted({*methods, "OPTIONS"})))


def _answer(path: str, allow: str) -> HTTPRouteHandler:
    @route(path, http_method=[HttpMethod.OPTIONS], status_code=204, sync_to_thread=False)
    def options() -> Response[None]:
        return Response(None, headers={"allow": allow})

    return options
