"""Tools of somebody else's that cost money, each of whose calls needs a yes; installed beside a service.

Refuses to pay anybody: what was run is a line in a file.
"""

from pathlib import Path

MODULE = '''
import json
import os
from pathlib import Path

from service.tools import Errand, tool


def _write(**line):
    with Path(os.environ["PAID"]).open("a") as file:
        file.write(json.dumps(line) + "\\n")
    return "paid"


@tool(effects=True, approval=True)
async def transfer(amount: int, to: str, errand: Errand) -> str:
    """Send money to somebody."""
    return _write(tool="transfer", amount=amount, to=to, turn=errand.turn_id)


@tool(effects=True, approval=["CFO"])
async def payout(amount: int, errand: Errand) -> str:
    """Send money of the house."""
    return _write(tool="payout", amount=amount, turn=errand.turn_id)
'''
ENTRY_POINTS = "[parley.tools]\ntransfer = paying:transfer\npayout = paying:payout\n"


def install(folder: Path, tools: str = "transfer") -> dict[str, str]:
    """Put them into a folder, as far as an interpreter looks; the settings of a service that offers them."""
    info = folder / "paying-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: paying\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "paying.py").write_text(MODULE)
    return {"PYTHONPATH": str(folder), "AGENT_TOOLS": tools, "PAID": str(folder / "paid")}


def paid(folder: Path) -> list[str]:
    """What was run, a line each."""
    file = folder / "paid"
    return file.read_text().splitlines() if file.exists() else []
