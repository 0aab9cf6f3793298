"""Files of a chat request: what is taken for one, how large it may be, and what is known of a PDF's pages."""

import base64
import zlib
from hashlib import sha256

import pytest

from service.web import attachments
from service.web.attachments import IMAGE_TOKENS, MEBIBYTE, PAGE_TOKENS, AttachmentBody, pages

PNG, PDF = b"\x89PNG\r\n\x1a\n", b"%PDF-1.7\n"
VALID = {
    "image/png": PNG + b"x",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/gif": b"GIF89a..",
    "image/webp": b"RIFF\x10\x00\x00\x00WEBPVP8 ",
    "application/pdf": PDF + b"<< /Type /Page >>",
}


def body(kind, data, name=None):
    return AttachmentBody(type=kind, data=base64.b64encode(data).decode(), name=name)


def read(*given, most=5):
    files, errors = attachments.read(given, most)
    return files, [(error.field, error.message) for error in errors]


@pytest.mark.parametrize("kind", VALID)
def test_a_file_that_begins_as_it_says_is_known_by_its_digest(kind):
    (file,), errors = read(body(kind, VALID[kind], "a name"))
    assert errors == []
    assert (file.fact.type, file.fact.bytes) == (kind, len(VALID[kind]))
    assert file.fact.sha256 == sha256(VALID[kind]).hexdigest()
    assert file.tokens == (PAGE_TOKENS if kind == "application/pdf" else IMAGE_TOKENS)


@pytest.mark.parametrize("kind", VALID)
@pytest.mark.parametrize("other", VALID)
def test_a_file_that_begins_as_another_is_refused(kind, other):
    files, errors = read(body(kind, VALID[other]))
    assert bool(files) is (kind == other)
    assert errors == ([] if kind == other else [("attachments[0].data", f"Expected {kind}")])


def test_another_file_of_the_same_container_is_refused():
    files, errors = read(body("image/webp", b"RIFF\x10\x00\x00\x00WAVEfmt "))
    assert (files, errors) == ([], [("attachments[0].data", "Expected image/webp")])


@pytest.mark.parametrize("data", ["====", "abc", "a b=", "\u00e4\u00e4\u00e4\u00e4", "YQ==YQ=="])
def test_what_is_no_base64_is_refused(data):
    _, errors = read(AttachmentBody(type="image/png", data=data))
    assert errors == [("attachments[0].data", "Expected base64")]


@pytest.mark.parametrize(("kind", "size"), [("image/png", 5 * MEBIBYTE), ("application/pdf", 10 * MEBIBYTE)])
@pytest.mark.parametrize("more", [0, 1, 9])
def test_a_file_of_just_the_bytes_is_taken_and_of_one_more_is_not(kind, size, more):
    begins = PNG if kind == "image/png" else PDF
    files, errors = read(body(kind, begins.ljust(size + more, b"x")))
    assert bool(files) is not bool(more)
    assert errors == ([("attachments[0].data", f"Expected at most {size} bytes")] if more else [])


def test_each_wrong_file_is_named_and_too_many_are_named_as_one():
    good, bad = body("image/png", VALID["image/png"]), body("image/png", b"MZ")
    _, errors = read(good, bad, good, bad)
    assert [field for field, _ in errors] == ["attachments[1].data", "attachments[3].data"]
    assert read(good, good, most=1) == ([], [("attachments", "Expected at most 1")])
    assert read(good, most=0) == ([], [("attachments", "Expected none: files are not taken here")])
    assert read(most=0) == ([], [])


def packed(text):
    data = zlib.compress(text)
    return b"1 0 obj << /Type /ObjStm /Filter /FlateDecode >>\nstream\r\n" + data + b"\nendstream\n"


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b"<< /Type /Page >> << /Type/Page >> << /Type /Pages /Count 2 >>", 2),
        (packed(b"<< /Type /Page >>" * 7 + b"<< /Type /Pages >>"), 7),
        (packed(b"<< /Type /Page >>") * 3 + b"<< /Type /Page >>", 4),
        (b"nothing that is a page", 100),
        (b"/ObjStm stream\r\nno deflated bytes", 100),
        (b"/ObjStm without any", 100),
        (b"/Type /Page " * 5_000, 600),
        (packed(b"/Type /Page " * 5_000_000), 600),
    ],
    ids=["plain", "packed", "both", "none", "broken", "no stream", "too many", "a bomb"],
)
def test_pages_of_a_pdf(content, count):
    assert pages(PDF + content) == count


def test_a_pdf_made_to_be_slow_is_looked_at_in_bounded_steps():
    assert pages(PDF + b"/ObjStm stream\n" * 700_000) == 100
