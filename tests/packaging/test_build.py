"""What is built: the same bytes wherever it is built, whole, and nothing of anybody's machine."""

import email
import os
import re
import tarfile
import zipfile
from configparser import ConfigParser

import pytest
from packaging.requirements import Requirement

from tests.packaging.archive import PACKAGES, PROJECT, VERSION, build, copy, files, names, read

LONG_AGO = 1_000_000_000
MOMENT = 1_700_000_000
LOCKED = re.compile(
    r"^([a-z0-9-]+)==(\S+?)(?: ; .+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


@pytest.fixture(scope="module")
def lock(checkout):
    return (checkout / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def locked(lock):
    return {name: version for name, version, _ in LOCKED.findall(lock)}


@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_two_builds_have_the_same_bytes(target, checkout, tmp_path):
    elsewhere = copy(checkout, reversed(files(checkout)), tmp_path / "a longer place", umask=0o077)
    for path in elsewhere.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    one = build(checkout, target, tmp_path / "one", TZ="UTC", PYTHONHASHSEED="1")
    two = build(elsewhere, target, tmp_path / "two", TZ="Asia/Tokyo", PYTHONHASHSEED="2", LC_ALL="C")
    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()


def test_the_moment_in_the_archives_is_the_one_that_is_given(checkout, tmp_path):
    wheel = build(checkout, "wheel", tmp_path / "wheel", SOURCE_DATE_EPOCH=str(MOMENT), TZ="UTC")
    sdist = build(checkout, "sdist", tmp_path / "sdist", SOURCE_DATE_EPOCH=str(MOMENT), TZ="UTC")
    with zipfile.ZipFile(wheel) as opened:
        assert {entry.date_time for entry in opened.infolist()} == {(2023, 11, 14, 22, 13, 20)}
    with tarfile.open(sdist) as opened:
        assert {entry.mtime for entry in opened} == {MOMENT}
        assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in opened} == {(0, 0, "", "")}


def test_the_source_archive_builds_the_same_wheel(checkout, wheel, tmp_path):
    with tarfile.open(build(checkout, "sdist", tmp_path / "sdist")) as opened:
        opened.extraction_filter = getattr(tarfile, "data_filter", None)  # 3.11.2 has none
        opened.extractall(tmp_path)  # noqa: S202 - our own archive
    again = build(tmp_path / f"parley-{VERSION}", "wheel", tmp_path / "again")
    assert again.read_bytes() == wheel.read_bytes()


def test_the_wheel_has_every_file_of_the_packages_and_no_other(checkout, wheel):
    own = {
        f"parley-{VERSION}.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")
    }
    licence = f"parley-{VERSION}.dist-info/licenses/LICENSE"
    source = {path for path in files(checkout) if path.split("/")[0] in PACKAGES}
    assert names(wheel) == own | {licence} | source
    assert any(name.endswith(".sql") for name in source)
    assert "service/agent/prices.toml" in source


def test_the_source_archive_has_every_file_and_no_other(checkout, tmp_path):
    assert names(build(checkout, "sdist", tmp_path)) == {*files(checkout), "PKG-INFO"}


@pytest.mark.parametrize("name", ["parley.env", "var/parley.db", ".env", "secrets/key.pem"])
def test_what_lies_about_gets_into_no_archive(name, checkout, tmp_path):
    littered = copy(checkout, files(checkout), tmp_path / "littered")
    stray = littered / name
    stray.parent.mkdir(exist_ok=True)
    stray.write_text("secret")
    assert name not in names(build(littered, "sdist", tmp_path / "sdist"))
    assert name not in names(build(littered, "wheel", tmp_path / "wheel"))


def test_the_version_is_said_in_one_place(wheel, checkout):
    told = email.message_from_string(read(wheel, "METADATA"))
    assert told["Version"] == VERSION
    said = [path for package in PACKAGES for path in (checkout / package).rglob("*.py")]
    assert said
    assert [path for path in said if f'"{VERSION}"' in path.read_text(encoding="utf-8")] == []


def test_the_wheel_says_what_the_project_says(wheel):
    told = email.message_from_string(read(wheel, "METADATA"))
    assert told["Requires-Python"] == PROJECT["project"]["requires-python"]
    assert told["License-Expression"] == "MIT"
    points = ConfigParser(delimiters=("=",))
    points.read_string(read(wheel, "entry_points.txt"))
    assert dict(points["console_scripts"]) == PROJECT["project"]["scripts"]
    assert dict(points["parley.sinks"]) == PROJECT["project"]["entry-points"]["parley.sinks"]


def test_the_lock_has_what_the_wheel_asks_for(wheel, locked):
    asked = [
        Requirement(text)
        for text in email.message_from_string(read(wheel, "METADATA")).get_all("Requires-Dist")
    ]
    assert len(asked) == len(PROJECT["project"]["dependencies"])
    unmet = [str(one) for one in asked if locked.get(one.name) not in one.specifier]
    assert unmet == []


def test_every_locked_package_has_hashes(lock, locked):
    assert set(locked) == set(re.findall(r"^([^\s#=]+)==", lock, re.MULTILINE))
