"""Models behind the Chat Completions API, as a plug-in: the entry point `openai` of `parley.models`."""

from .model import CompletionsModel, provide

__all__ = ["CompletionsModel", "provide"]
