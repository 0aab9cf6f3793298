"""What the first page weighs and how soon it is of use; what is kept of others' work is what it was."""

import hashlib
import tomllib
from pathlib import Path

from playwright.sync_api import expect

from tests.conftest import TOLD

VENDOR = Path(__file__).parent / "vendor"
MOST = 100_000
"""Bytes over the wire, headers and all, until the first page is whole."""
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 90_000}
"""Milliseconds and bytes a second of a slow mobile connection."""
READY = """() => performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd"""


def weighed(visit):
    """Sums up what comes over the wire from now on."""
    wire, bytes_ = visit.context.new_cdp_session(visit.page), []
    wire.send("Network.enable")
    wire.on("Network.loadingFinished", lambda event: bytes_.append(event["encodedDataLength"]))
    return wire, bytes_


def test_the_first_page_is_light_and_the_next_one_brings_no_files(visiting, record_property):
    with visiting("light") as visit:
        _, came = weighed(visit)
        page = visit.open()
        expect(page.get_by_label("Your question")).to_be_focused()
        first = sum(came)
        assert 5_000 < first < MOST
        came.clear()
        page.goto("/console/", wait_until="networkidle")
        assert sum(came) < 10_000
        record_property(TOLD, f"console: first page {first:,.0f} bytes, the next {sum(came):,.0f}")


def test_how_soon_it_is_of_use_on_a_slow_connection(visiting, record_property):
    with visiting("slow") as visit:
        wire, _ = weighed(visit)
        wire.send("Network.emulateNetworkConditions", SLOW)
        page = visit.open()
        expect(page.get_by_label("Your question")).to_be_focused()
        record_property(
            TOLD, f"console: usable after {page.evaluate(READY):,.0f} ms at 150 ms and 1.6 Mbit/s"
        )


def test_what_others_wrote_is_what_their_packages_have():
    listed = tomllib.loads((VENDOR / "vendor.toml").read_text())
    files = {name: digest for each in listed.values() for name, digest in each["files"].items()}
    assert all({"version", "licence", "source"} <= set(each) for each in listed.values())
    assert set(files) == {path.name for path in VENDOR.iterdir()} - {"vendor.toml"}
    for name, digest in files.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest
