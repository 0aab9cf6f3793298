"""Files that hold settings are read exactly, or refused with a reason that shows nothing of them."""

import os

import pytest

from config.source import LONGEST_SECRET_FILE, Unreadable, gather, read_dotenv, read_secret

CANARY = "canary-5f1c9a7e"


def written(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    return path


def test_the_environment_wins_over_dotenv():
    given = gather({"A": "env"}, {"A": "file", "B": "file"})
    assert [(one.name, one.text, one.origin) for one in given.values()] == [
        ("A", "env", "env"),
        ("B", "file", ".env"),
    ]


def test_an_empty_text_is_none_and_uncovers_what_lies_below():
    given = gather({"A": "", "B": ""}, {"A": "file", "C": ""})
    assert set(given) == {"A"}
    assert given["A"].origin == ".env"


def test_no_dotenv_is_no_lines(tmp_path):
    assert read_dotenv(tmp_path / ".env") == {}


def test_dotenv_lines(tmp_path):
    content = b"""\xef\xbb\xbfBOM=1
# comment
A=1
export B = two words # comment
C='single $A ${A} \\n'
D="double\\nline"
E=
F=${A}/$HOME
A=last
"""
    assert read_dotenv(written(tmp_path, content)) == {
        "BOM": "1",
        "A": "last",
        "B": "two words",
        "C": "single $A ${A} \\n",
        "D": "double\nline",
        "E": "",
        "F": "${A}/$HOME",
    }


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"A=1\n\n\nB\n", 4),
        (b"A=1\nB C=2\n", 2),
        (b"=1\n", 1),
        (f"A=1\nAGENT_SECRET_KEY='{CANARY}\n".encode(), 2),
        (f"# c\n\nexport {CANARY}\n".encode(), 3),
        (b"A=1\r\n\r\nB\r\n", 3),
    ],
)
def test_a_dotenv_line_that_is_none_is_named_by_its_number(tmp_path, content, line):
    with pytest.raises(Unreadable, match=rf"^line {line} is not NAME=value$"):
        read_dotenv(written(tmp_path, content))


def test_a_dotenv_that_is_no_text_is_refused(tmp_path):
    with pytest.raises(Unreadable, match="not UTF-8"):
        read_dotenv(written(tmp_path, b"A=\xff\n"))
    with pytest.raises(Unreadable, match="directory"):
        read_dotenv(tmp_path)


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"value", "value"),
        (b"value\n", "value"),
        (b"value\r\n", "value"),
        (b"value\n\n", "value\n"),
        (b" value \n", " value "),
        (b"two\nlines\n", "two\nlines"),
        ("w\u00e4rter".encode(), "w\u00e4rter"),
        (b"x" * LONGEST_SECRET_FILE, "x" * LONGEST_SECRET_FILE),
    ],
)
def test_a_secret_file_loses_one_newline_and_nothing_else(tmp_path, content, secret):
    assert read_secret(str(written(tmp_path, content))) == secret


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"\r\n", "empty"),
        (CANARY.encode() + b"\xff", "not UTF-8"),
        (b"x" * (LONGEST_SECRET_FILE + 1), "too long"),
    ],
)
def test_a_secret_file_that_holds_none_is_refused(tmp_path, content, reason):
    with pytest.raises(Unreadable, match=reason) as refused:
        read_secret(str(written(tmp_path, content)))
    assert CANARY not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_secret_file_must_be_a_regular_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, "/dev/zero"):
        with pytest.raises(Unreadable, match="no regular file"):
            read_secret(str(path))


def test_a_link_to_a_secret_file_is_followed(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(written(tmp_path, b"value\n"))
    assert read_secret(str(link)) == "value"


@pytest.mark.parametrize("path", ["/no/such/file", "a\x00b", "x" * 5000, "\udcff"])
def test_a_secret_file_that_is_not_there_is_refused(path):
    with pytest.raises(Unreadable, match="cannot be read"):
        read_secret(path)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440, 0o444, 0o644, 0o664])
def test_a_secret_may_be_mounted_readable(tmp_path, mode):
    path = tmp_path / "secret"
    path.write_text("word")
    path.chmod(mode)
    assert read_secret(str(path)) == "word"


@pytest.mark.parametrize("mode", [0o666, 0o602, 0o777])
def test_a_secret_that_everybody_may_write_is_refused(tmp_path, mode):
    path = tmp_path / "secret"
    path.write_text("word")
    path.chmod(mode)
    with pytest.raises(Unreadable, match="everybody may write") as refused:
        read_secret(str(path))
    assert "word" not in str(refused.value)
