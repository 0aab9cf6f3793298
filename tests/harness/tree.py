"""A trace as indented text, to be compared with what the test says it should be.

Refuses to hide anything: a span whose parent did not arrive stands at the left as a root.
"""

from collections.abc import Iterator, Sequence

from tests.harness.signals import Span


def tree(spans: Sequence[Span], trace_id: str, attributes: Sequence[str] = ()) -> str:
    """Draw one trace, children below their parent, two spaces deeper, in the order they started.

    A line is `name KIND`, then ` [status]` unless it is UNSET, then ` key=value` for each of `attributes`
    that the span has. No line ends the text with a newline.

    Args:
        spans: any spans; those of other traces are left out.
        trace_id: 32 hex digits.
        attributes: the keys worth seeing, in the order wanted.
    """
    chosen = sorted((span for span in spans if span.trace_id == trace_id), key=lambda span: span.start)
    known = {span.span_id for span in chosen}
    roots = [span for span in chosen if span.parent_id not in known]
    return "\n".join(line for root in roots for line in _lines(root, chosen, attributes))


def _lines(span: Span, spans: Sequence[Span], attributes: Sequence[str], depth: int = 0) -> Iterator[str]:
    yield "  " * depth + _line(span, attributes)
    for child in spans:
        if child.parent_id == span.span_id:
            yield from _lines(child, spans, attributes, depth + 1)


def _line(span: Span, attributes: Sequence[str]) -> str:
    status = "" if span.status == "UNSET" else f" [{span.status}]"
    shown = (f" {key}={span.attributes[key]}" for key in attributes if key in span.attributes)
    return f"{span.name} {span.kind}{status}{''.join(shown)}"
