"""Tools of MCP servers: other programs, here or elsewhere, whose tools the model may use.

Refuses to let a server keep the service from starting, a turn from ending, or the loop from turning: what a
server says is bounded, and a server that is not there is a tool that fails. The only door to it but for
`parley mcp`, which is a server itself.
"""
