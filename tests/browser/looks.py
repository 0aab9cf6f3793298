"""What is looked for on every page: by axe, on a desk and a phone, in light and dark.

Refuses to let a page's own scripts past its policy: axe alone is let in, in windows that are opened for it.
"""

from pathlib import Path
from typing import Any

from tests.browser.visit import Visit

VENDOR = Path(__file__).parent / "vendor"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AXE = """async (tags) => {
    const {violations} = await axe.run(document, {runOnly: tags});
    return violations.map(({id, impact, nodes}) => `${impact} ${id}: ${nodes.map((each) => each.html)}`);
}"""
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
LOOKS = ("light-desk", "light-phone", "dark-desk", "dark-phone")


def options_of(look: str) -> dict[str, Any]:
    """A window of these colours and this size, whose page axe may look into."""
    scheme, size = look.split("-")
    return {"color_scheme": scheme, "bypass_csp": True, **(PHONE if size == "phone" else {})}


def fallible(visit: Visit) -> list[str]:
    """What axe finds on the page as it stands."""
    visit.page.evaluate((VENDOR / "axe.min.js").read_text())
    found: list[str] = visit.page.evaluate(AXE, RULES)
    return found
