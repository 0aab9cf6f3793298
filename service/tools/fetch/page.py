"""HTML as readable text: headings, paragraphs and lists a line each, links with where they lead.

Refuses scripts, styles and whatever else is not for reading, and to run anything.
"""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

UNREAD = frozenset({"script", "style", "template", "noscript", "svg", "iframe", "object", "select", "canvas"})
"""What is dropped with all that is in it."""
LINES = frozenset(
    {"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "header"}
    | {"footer", "main", "nav", "table", "ul", "ol", "dl", "dt", "dd", "pre", "blockquote", "hr", "form"}
    | {"title", "aside", "figure", "figcaption", "option", "address", "details", "summary"}
)
BLANKS = re.compile(r"\s+")
LONGEST_LINK = 300
SLICE, LONGEST_TAG, SHORT = 8_192, 32_768, 100
"""Characters that are fed at a time, and of a tag or comment that does not end: there a page is over.

Python's parser looks for the end of each anew, and at its own end from each beginning: a page of beginnings
would keep it busy for hours.
"""


class Reader(HTMLParser):
    """Hears a page; `title` and `text` are what is read of it."""

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self._url, self._parts, self._titles = url, list[str](), list[str]()
        self._unread: str | None = None
        self._depth = 0
        self._in_title = self._in_pre = False
        self._links = list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line, a link, or what is not read."""
        if self._unread is not None:
            self._depth += tag == self._unread
        elif tag in UNREAD:
            self._unread, self._depth = tag, 1
        elif tag in LINES:
            self._in_title, self._in_pre = tag == "title", self._in_pre or tag == "pre"
            self._parts.append("\n- " if tag == "li" else "\n")
        elif tag == "a":
            self._links.append(self._leads(dict(attrs).get("href")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One that ends where it begins hides nothing."""
        if tag not in UNREAD:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """End it."""
        if self._unread is not None:
            self._depth -= tag == self._unread
            self._unread = self._unread if self._depth else None
        elif tag in LINES:
            self._in_title, self._in_pre = False, self._in_pre and tag != "pre"
            self._parts.append("\n")
        elif tag == "a" and self._links and (link := self._links.pop()):
            self._parts.append(f" ({link})")

    def handle_data(self, data: str) -> None:
        """Read."""
        if self._unread is None:
            read = data if self._in_pre else BLANKS.sub(" ", data)
            (self._titles if self._in_title else self._parts).append(read)

    def goes_on(self) -> bool:
        """Whether what is held back for its end is short; of a script nothing but the last is."""
        if self.cdata_elem:
            self.rawdata = self.rawdata[-SHORT:]
        return len(self.rawdata) <= LONGEST_TAG

    @property
    def title(self) -> str:
        """The page's title, in one line."""
        return " ".join("".join(self._titles).split())[:200]

    @property
    def text(self) -> str:
        """The page, without needless blanks."""
        lines = (" ".join(line.split()) for line in "".join(self._parts).splitlines())
        return re.sub(r"\n{3,}", "\n\n", "\n".join(line for line in lines if line != "-")).strip()

    def _leads(self, href: str | None) -> str:
        if not href or href.startswith("#") or len(href) > LONGEST_LINK:
            return ""
        try:
            there = urljoin(self._url, href.strip())
        except ValueError:
            return ""
        return there if there.startswith(("http://", "https://")) else ""


def read(page: str, url: str) -> tuple[str, str, bool]:
    """A page's title and text, and whether all of it was read; `url` is where it was, for its links."""
    reader = Reader(url)
    for start in range(0, len(page), SLICE):
        reader.feed(page[start : start + SLICE])
        if not reader.goes_on():
            return reader.title, reader.text, False
    reader.handle_data(reader.rawdata)
    return reader.title, reader.text, True
