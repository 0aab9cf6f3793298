"""A prompt as the cache of the API sees it: blocks in their order, each with what stands before it.

Refuses breakpoints as the API does: more than four, a long one after a short one, one on thinking.
"""

from collections.abc import Iterator
from hashlib import sha256
from itertools import accumulate

import msgspec
from msgspec import Struct

from service.simulator.error import ApiError
from service.simulator.messages import Block, CacheControl, Count, Tool

CHARACTERS_PER_TOKEN = 4
FILES, FILE_TOKENS = {"image", "document"}, 1_600
"""A file counts by what it shows, which nobody looks at here: as a usual image, or one page."""
MOST_BREAKPOINTS = 4
UNMARKED = {"thinking", "redacted_thinking"}
"""Blocks that bear no breakpoint."""
TTLS = ("5m", "1h")
ORDER = "Blocks are processed in the order `tools`, `system`, `messages`."
FRAME = len('{"role":"","content":""},')
"""Characters that a message takes beside its role and its blocks."""


class Place(Struct, frozen=True, kw_only=True):
    """The end of a block: `tokens` and `digest` are those of all up to it, `ttl` its breakpoint's, if any."""

    tokens: int
    digest: bytes
    ttl: str | None = None


class _Piece(Struct, frozen=True, kw_only=True):
    """One block: `length` in characters, of those that are rounded up to tokens together with `part`."""

    part: str
    length: int
    content: bytes
    control: CacheControl | None


def tokens_of(text: str | bytes) -> int:
    """Estimate the tokens of a text, rounded up."""
    return _tokens(len(text))


def places(request: Count, account: str) -> list[Place]:
    """The ends of all blocks, in the order in which the API reads them: tools, system prompt, messages.

    Prefixes are those of one account and model; thinking and the choice of tools are part of the messages'.

    Raises:
        ApiError: 400, over the breakpoints.
    """
    pieces = _automatic(request, [*_tools(request), *_system(request), *_messages(request)])
    _review([piece.control for piece in pieces if piece.control])
    marks = (piece.control.ttl if piece.control else None for piece in pieces)
    told = zip(_sums(pieces), _digests(request, account, pieces), marks, strict=True)
    return [Place(tokens=tokens, digest=digest, ttl=ttl) for tokens, digest, ttl in told]


def _tools(request: Count) -> Iterator[_Piece]:
    for at, tool in enumerate(request.tools):
        content = msgspec.json.encode(msgspec.structs.replace(tool, cache_control=None))
        yield _Piece(part=f"tool {at}", length=len(content), content=content, control=_control(tool))


def _system(request: Count) -> Iterator[_Piece]:
    blocks = request.system
    for at, block in enumerate([Block(type="text", text=blocks)] if isinstance(blocks, str) else blocks):
        if block.text:
            content = block.text.encode()
            yield _Piece(
                part=f"system {at}", length=len(block.text), content=content, control=_control(block)
            )


def _messages(request: Count) -> Iterator[_Piece]:
    for message in request.messages:
        for at, block in enumerate(message.blocks):
            frame = FRAME + len(message.role) if at == 0 else 1
            plain = msgspec.structs.replace(block, cache_control=None)
            content = msgspec.json.encode([message.role, at == 0, plain])
            length = frame + _length(plain)
            yield _Piece(part="messages", length=length, content=content, control=_control(block))


def _length(block: Block) -> int:
    """Characters of a block; a text counts alike as one and as the string that is short for it."""
    if block.type == "text":
        return len(msgspec.json.encode(block.text or "")) - 2
    if block.type in FILES:
        return FILE_TOKENS * CHARACTERS_PER_TOKEN
    return len(msgspec.json.encode(block))


def _control(marked: Block | Tool) -> CacheControl | None:
    if marked.cache_control and marked.type in UNMARKED:
        raise ApiError(400, f"{marked.type} blocks cannot bear `cache_control`")
    return marked.cache_control


def _automatic(request: Count, pieces: list[_Piece]) -> list[_Piece]:
    """The breakpoint that the request asks for as a whole stands at its last block."""
    if not request.cache_control or not pieces or pieces[-1].control:
        return pieces
    control = msgspec.convert(request.cache_control, CacheControl)
    return [*pieces[:-1], msgspec.structs.replace(pieces[-1], control=control)]


def _review(controls: list[CacheControl]) -> None:
    if len(controls) > MOST_BREAKPOINTS:
        found = f"A maximum of {MOST_BREAKPOINTS} blocks with cache_control may be provided."
        raise ApiError(400, f"{found} Found {len(controls)}.")
    ttls = [control.ttl for control in controls]
    if any(ttl not in TTLS for ttl in ttls):
        raise ApiError(400, "cache_control.ephemeral.ttl: Input should be '5m' or '1h'")
    if "1h" in ttls and "5m" in ttls[: len(ttls) - ttls[::-1].index("1h")]:
        order = "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block."
        raise ApiError(400, f"cache_control.ttl: {order} {ORDER}")


def _sums(pieces: list[_Piece]) -> Iterator[int]:
    """Tokens up to each piece: tools and system blocks are rounded up one by one, messages all together."""
    fixed, characters = 0, 1
    for piece in pieces:
        if piece.part == "messages":
            characters += piece.length
        else:
            fixed += _tokens(piece.length)
        yield fixed + (_tokens(characters) if piece.part == "messages" else 0)


def _digests(request: Count, account: str, pieces: list[_Piece]) -> Iterator[bytes]:
    manner = msgspec.json.encode([request.thinking, request.tool_choice, request.output_config])
    seed = sha256(msgspec.json.encode([account, request.model])).digest()

    def step(before: bytes, piece: _Piece) -> bytes:
        of = manner if piece.part == "messages" else piece.part.encode()
        return sha256(before + sha256(of).digest() + piece.content).digest()

    return iter(list(accumulate(pieces, step, initial=seed))[1:])  # pyright: ignore[reportArgumentType] - typeshed wants one type


def _tokens(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)
