"""What a body is by its own word, and its bytes as text.

Refuses what is no text: pictures, archives, programs, and bodies that do not say what they are.
"""

import re

from msgspec import Struct

from service.errors import ToolFailed

TEXTS = re.compile(r"text/[a-z0-9.+-]+|application/(?:json|xml|xhtml\+xml|[a-z0-9.-]+\+(?:json|xml))")
MARKED_UP = frozenset({"text/html", "application/xhtml+xml"})
CHARSET = re.compile(r"charset\s*=\s*[\"']?([a-z0-9._:-]{1,40})", re.IGNORECASE)
META = re.compile(rb"<meta[^>]{0,200}charset\s{0,9}=\s{0,9}[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
HEAD = 2_048
"""Bytes in which a page has to say its charset."""
CHARSETS = re.compile(
    r"utf-?8|utf-?16(?:le|be)?|(?:us-)?ascii|latin-?1|iso-?8859-[0-9]{1,2}|windows-12[0-9]{2}|koi8-[ru]"
    r"|gbk|gb2312|gb18030|big5|euc-(?:jp|kr)|shift_?jis|iso-2022-jp"
)
"""Those of the web; Python knows further ones, some of which take forever."""


class Kind(Struct, frozen=True):
    """A media type without its parameters, and the charset it named."""

    media: str
    charset: str | None

    @property
    def marked_up(self) -> bool:
        """Whether it is HTML."""
        return self.media in MARKED_UP


def read(content_type: str) -> Kind:
    """Read a Content-Type; raises ToolFailed where it is none of a text."""
    media, _, rest = content_type.partition(";")
    media = media.strip().lower()
    if not TEXTS.fullmatch(media):
        told = media if re.fullmatch(r"[a-z0-9./+-]{1,80}", media) else "no type it says"
        raise ToolFailed(f"Only texts are fetched; this is {told}.")
    found = CHARSET.search(rest)
    return Kind(media, found[1].lower() if found else None)


def decode(body: bytes, kind: Kind) -> str:
    """A body as text; what does not fit its charset is replaced, not refused."""
    meta = META.search(body[:HEAD]) if kind.marked_up else None
    charset = kind.charset or (meta[1].decode("ascii").lower() if meta else "utf-8")
    known = charset if CHARSETS.fullmatch(charset) else "utf-8"
    try:
        return body.decode(known, "replace").removeprefix("\ufeff")
    except LookupError:  # iso-8859-12, say
        return body.decode("utf-8", "replace")
