"""Which version of each program the stack runs, natively and in containers alike.

Refuses to know where they come from: the collector's is builder.yaml's, told twice and tested to be equal.
"""

from typing import Final

COLLECTOR: Final = "0.159.0"
JAEGER_MODULE: Final = "1.76.0"
"""The last tag that the Go module proxy has; the very source that Jaeger's images call 2.13.0."""
JAEGER: Final = "2.13.0"
JAEGER_UI: Final = "2.14.0"
"""The first tag of its pages that came after that Jaeger."""
PROMETHEUS: Final = "2.42.0"
"""Debian 12's, which the rules are tested with."""
ALERTMANAGER: Final = "0.25.0"
GO: Final = (1, 26)
"""The least Go that Jaeger and the collector are built with."""
