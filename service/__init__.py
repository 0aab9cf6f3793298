"""The chat service: its web face, the agent's turn, and what a turn needs."""
