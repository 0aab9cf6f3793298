"""One turn of the agent: ask the model, run its tools, ask again."""
