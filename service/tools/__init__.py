"""What the agent may do besides talking: one tool a file, and the registry that runs them.

Refuses to let a tool's own exception out: the model is told one safe sentence.
"""

from service.errors import ToolFailed
from service.tools.decorator import tool
from service.tools.registry import Registry
from service.tools.tool import Errand, Tool

__all__ = ["Errand", "Registry", "Tool", "ToolFailed", "tool"]
