"""The live board of operators: what the log says of the last minutes or days, and how the house stands now.

Refuses to count anything by itself: turns are counted in the log, once for all processes and replicas.
"""

from service.web.operations.board import Board, Standing
from service.web.operations.routes import PATH, Lookout, OperationsQuery, routes
from service.web.operations.views import OperationsReport

__all__ = ["PATH", "Board", "Lookout", "OperationsQuery", "OperationsReport", "Standing", "routes"]
