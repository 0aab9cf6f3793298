"""Every statement on a table of tenants is known: it names a person, is bound to a tenant, or says why not.

Refuses a new one that is none of these; `service/store/tenancy.py` is where a question is bound.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store.tenancy import SHADOWED

STORE = Path(__file__).parents[2] / "service" / "store"
WEB = STORE.parent / "web"
NAMES = "|".join(sorted({*SHADOWED, "audit_subject"}))
TABLE = re.compile(rf"(?:FROM|JOIN|UPDATE|INTO)\s+(?:{NAMES})(?!\w)")
PERSONAL = re.compile(r"user_id (?:=|IN|>=)|tenant")

BY_ID = "by the random id of a turn, key, session or subject that its caller was checked for"
BOUND = "asked through Bound alone, or by ids that came of it"
WHOLE = "of the log as a whole: appended, sealed, verified, counted for limits, retained, rotated"
EXPECTED = {
    "admissions.py": (3, WHOLE),
    "approvals.py": (4, BY_ID),
    "audit.py": (2, WHOLE),
    "budgets/books.py": (3, BY_ID),
    "budgets/reckoning.py": (1, WHOLE),
    "budgets/sums.py": (2, WHOLE),
    "conversations.py": (1, BY_ID),
    "erasure.py": (3, BY_ID),
    "feedback.py": (2, BOUND),
    "filters.py": (1, BOUND),
    "holds.py": (1, "the command that lists all holds"),
    "idempotency.py": (5, "by a digest of person and key"),
    "keys.py": (6, "bound to a tenant; found by its id"),
    "log.py": (4, WHOLE),
    "opening.py": (2, BOUND),
    "plain.py": (3, WHOLE),
    "proofs.py": (3, WHOLE),
    "pulse.py": (6, BOUND),
    "questions.py": (4, BOUND),
    "retention.py": (2, WHOLE),
    "rotation.py": (4, WHOLE),
    "sessions.py": (4, BY_ID),
    "tenancy.py": (1, "the binding itself"),
    "unsealed.py": (1, WHOLE),
}
"""How many statements of a file name no person, and why they may."""


def texts(source: str) -> Iterator[str]:
    """Every text of a program, each once, f-strings whole."""
    tree = ast.parse(source)
    parts = {id(part) for each in ast.walk(tree) if isinstance(each, ast.JoinedStr) for part in each.values}
    for each in ast.walk(tree):
        if isinstance(each, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in each.values)
        elif isinstance(each, ast.Constant) and isinstance(each.value, str) and id(each) not in parts:
            yield each.value


def loose(source: str) -> list[str]:
    """The statements on tables of tenants that name no person."""
    return [text for text in texts(source) if TABLE.search(text) and not PERSONAL.search(text)]


def test_each_statement_on_a_tenants_table_names_a_person_or_says_why_not():
    found = Counter[str]()
    for path in STORE.rglob("*.py"):
        name = path.relative_to(STORE).as_posix()
        if "postgres" not in path.parts and (number := len(loose(path.read_text()))):
            found[name] = number
    assert found == {name: number for name, (number, _) in EXPECTED.items()}


@pytest.mark.parametrize(
    "mutant",
    [
        'FIND = "SELECT id FROM conversation ORDER BY id"',
        'name = "x"\nFIND = f"DELETE FROM feedback WHERE {name}"',
        'FIND = "SELECT * " \'FROM "AuditEvent"\'',
    ],
)
def test_a_statement_that_forgets_is_found(mutant):
    assert loose(mutant)


ASKED = re.compile(
    r"\b(?:questions|pulse)\.(?!within\b)\w+\(|\bopinions\.count\(|\bstore\.(?:list|revoke)\(|\bkept\.list\(\)"
)


def test_the_web_asks_for_a_tenant_alone():
    """What reads over persons is asked through `within`; a caller's own person is named elsewhere."""
    found = [
        f"{path.name}: {match[0]}" for path in WEB.rglob("*.py") for match in ASKED.finditer(path.read_text())
    ]
    # A view of the board has its tenant's pulse already.
    assert found == ["board.py: pulse.accounts(", "board.py: pulse.named("]
