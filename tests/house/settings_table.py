"""Writes the generated settings table into README; run by `make lock`."""

from pathlib import Path

from config import table

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- settings -->", "<!-- /settings -->"


def shown(readme: str) -> str:
    """The table as README has it."""
    return readme.split(BEGIN)[1].split(END, maxsplit=1)[0].strip()


def write() -> None:
    """Put the table where it belongs."""
    before, after = README.read_text().split(BEGIN)[0], README.read_text().split(END)[1]
    README.write_text(f"{before}{BEGIN}\n{table.as_markdown().strip()}\n{END}{after}")


if __name__ == "__main__":
    write()
