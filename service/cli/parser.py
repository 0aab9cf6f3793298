"""A command's parser that is filled when a command line names it: nobody waits for what others load.

Refuses to know any command: a table says what there is, and where what fills it stands.
"""

import argparse
from collections.abc import Mapping
from importlib import import_module
from typing import Any

Filled = tuple[str, str]
"""What a command does, in a few words; and the function that adds what it takes, as `module:name`."""


class Parser(argparse.ArgumentParser):
    """A parser of a command, empty until it reads."""

    def __init__(self, *, filled_by: str = "", **given: Any) -> None:
        super().__init__(**given)
        self._filled_by = filled_by

    def parse_known_args(self, *given: Any, **named: Any) -> Any:
        """Fill it, then read: argparse asks the command that is named, and no other."""
        self.fill()
        return super().parse_known_args(*given, **named)

    def fill(self) -> None:
        """Add what the command takes, once; loads what the command needs."""
        if self._filled_by:
            module, _, name = self._filled_by.partition(":")
            self._filled_by = ""
            getattr(import_module(module), name)(self)

    def branch(self, metavar: str, commands: Mapping[str, Filled]) -> None:
        """Let one of these commands follow."""
        added = self.add_subparsers(required=True, metavar=metavar, parser_class=Parser)
        for name, (said, filled_by) in commands.items():
            added.add_parser(name, help=said, description=said, filled_by=filled_by)
