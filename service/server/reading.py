"""Bytes -> requests: llhttp's parser, strict, and what it leaves to whoever uses it.

Refuses heads without end, trailers as headers, and to take what follows an Upgrade for another request.
"""

from typing import Protocol

import httptools

from service.server.head import MOST, Head, NoHttp

BREAKS = (b"\r", b"\n")
CONNECT = b"CONNECT"


class Listener(Protocol):
    """Who hears of the requests, in their order."""

    def begin(self, head: Head) -> None:
        """A request begins."""
        ...

    def take(self, piece: bytes) -> None:
        """A piece of its body."""
        ...

    def end(self) -> None:
        """It is whole."""
        ...


class Reading:
    """What is read of one connection. `heading`: a head began that is not whole."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.heading = self._within = self._bare = False
        self._head: Head | None = None
        self._target, self._headers = b"", list[tuple[bytes, bytes]]()
        self._size = self._unparsed = self._begun = 0
        self._renew()

    def _renew(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        # what follows a request after which none may follow is not heard; that is no reason not to answer it
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def feed(self, data: bytes) -> None:
        """Read on.

        Raises:
            NoHttp: nothing after this can be read.
        """
        fresh, self._begun = not (self.heading or self._within), 0
        if fresh and data[:1] in BREAKS:
            raise NoHttp
        try:
            self._parse(data)
        except httptools.HttpParserError:
            raise NoHttp from None
        if self.heading and self._begun == fresh:  # of a head that began behind something else, more may come
            self._unparsed += len(data)
            if self._unparsed > MOST:
                raise NoHttp

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._pass_over(data[upgrade.args[0] :])

    def _pass_over(self, rest: bytes) -> None:
        """Nothing is switched to: another parser reads the body, which is told of nothing else."""
        head, self._bare = self._head, True
        self._renew()
        if head is not None and head.method != CONNECT:
            self._parser.feed_data(head.bare())
            self._parse(rest)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        if not self._bare:
            self.heading, self._target, self._headers = True, b"", []
            self._size = self._unparsed = 0
            self._begun += 1

    def on_url(self, target: bytes) -> None:
        """A piece of its target."""
        if not self._bare:
            self._grow(len(target))
            self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; behind a body in chunks a trailer, which nobody reads."""
        self._grow(len(name) + len(value) + 4)
        if self.heading:
            self._headers.append((name.lower(), value.rstrip(b" \t")))

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > MOST:
            raise NoHttp

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._bare:
            self._bare = False
            return
        self.heading, self._within = False, True
        parser, headers = self._parser, self._headers
        head = Head(parser.get_method(), self._target, parser.get_http_version(), headers)
        head.keeps = head.keeps and parser.should_keep_alive() and head.method != CONNECT
        self._head = head
        self._listener.begin(head)

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._listener.take(piece)

    def on_message_complete(self) -> None:
        """The request is whole, unless it wishes for another protocol: then only its head is."""
        if self._parser.should_upgrade() and self._head and self._head.method != CONNECT:
            return
        self._within = False
        self._listener.end()
