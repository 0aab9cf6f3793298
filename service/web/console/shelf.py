"""The console's files as a browser gets them: read and zipped once, at an address that names their content.

Refuses any file that was not there at the start, and any path: a name is looked up, never opened.
"""

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from msgspec import Struct

from service.errors import NotFound
from service.web.console.headers import HEADERS
from service.web.desk import Asking

STATIC = Path(__file__).parent / "static"
AT = "/console/static"
KINDS: Mapping[str, str] = MappingProxyType(
    {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
)
"""What is served, by the end of its name; anything else in the folder is not."""
FOREVER = "public, max-age=31536000, immutable"
ONCE = "no-store"
"""For a file that is asked for under the address of another release, as pages do while one is rolled out."""
DIGITS = 16
IMPORT = re.compile(r"""^(?:import|export)\b[^"';]*?["']\./([\w./-]+)["']""", re.MULTILINE)


class File(Struct, frozen=True):
    """One file, as it is and zipped."""

    kind: str
    plain: bytes
    zipped: bytes


class Shelf:
    """All files of a folder. Their addresses share one digest, so that modules find each other by name."""

    def __init__(self, folder: Path = STATIC) -> None:
        self.files: Mapping[str, File] = MappingProxyType(dict(_read(folder)))
        whole = hashlib.sha256()
        for name, file in self.files.items():
            whole.update(f"{name} {len(file.plain)} ".encode() + file.plain)
        self.digest = whole.hexdigest()[:DIGITS]

    def address(self, name: str) -> str:
        """Where a browser finds a file.

        Raises:
            KeyError: there is none of this name.
        """
        self.files[name]
        return f"{AT}/{self.digest}/{name}"

    def imported(self, name: str) -> list[str]:
        """The names of a module and of all that it imports, so that a page can ask for them at once."""
        found = [name]
        for each in found:
            words = self.files[each].plain.decode()
            found += [other for other in IMPORT.findall(words) if other not in found]
        return found

    def route(self) -> HTTPRouteHandler:
        """The route that gives them, to everybody: the sign-in page needs them too."""

        @get(f"{AT}/{{digest:str}}/{{name:path}}", include_in_schema=False)
        async def file(request: Asking, digest: FromPath[str], name: FromPath[str]) -> Response[bytes]:
            found = self.files.get(name.removeprefix("/"))
            if found is None:
                raise NotFound("There is no such file.")
            return _answer(found, request.headers.get("accept-encoding", ""), fresh=digest == self.digest)

        return file


def _read(folder: Path) -> Iterator[tuple[str, File]]:
    for path in sorted(folder.rglob("*")):
        if kind := KINDS.get(path.suffix):
            plain = path.read_bytes()
            # no time in it: the same file is the same bytes on every replica
            yield path.relative_to(folder).as_posix(), File(kind, plain, gzip.compress(plain, 9, mtime=0))


def _answer(file: File, accepted: str, *, fresh: bool) -> Response[bytes]:
    zipped = "gzip" in accepted
    headers = {**HEADERS, "cache-control": FOREVER if fresh else ONCE, "vary": "accept-encoding"}
    if zipped:
        headers["content-encoding"] = "gzip"
    return Response(file.zipped if zipped else file.plain, media_type=file.kind, headers=headers)
