"""parley audit: what can be done with the audit, each verb in a file of its own.

Refuses to load any of them for a verb that was not named.
"""

from collections.abc import Mapping

from service.cli.parser import Filled, Parser

VERBS: Mapping[str, Filled] = {
    "list": ("list events, newest first", "service.cli.events:add_list"),
    "show": ("show one event", "service.cli.events:add_show"),
    "export": ("write all events to stdout, newest first", "service.cli.events:add_export"),
    "stats": ("count events by kind and outcome, and what waits", "service.cli.stats:add"),
    "verify": ("verify the log, or a file without any database", "service.cli.verify:add"),
    "prove": ("print one event with what proves it", "service.cli.proof:add_prove"),
    "key": ("print the public key of the log's checkpoints", "service.cli.proof:add_key"),
    "erase": ("forget people: names, texts, conversations, API keys", "service.cli.erase:add_erase"),
    "scrub": ("clear the database's files of what was erased", "service.cli.erase:add_scrub"),
    "hold": ("place a legal hold: nothing of this user's goes", "service.cli.erase:add_hold"),
    "release": ("end a legal hold", "service.cli.erase:add_release"),
    "holds": ("list the legal holds", "service.cli.erase:add_holds"),
    "retain": ("remove old events, leaving their hashes", "service.cli.retain:add_retain"),
    "rotate-keys": (
        "seal keys and texts under the new AGENT_SECRET_KEY",
        "service.cli.retain:add_rotate",
    ),
}


def add(parser: Parser) -> None:
    """Add the verbs."""
    parser.branch("VERB", VERBS)
