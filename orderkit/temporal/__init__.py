"""Temporal from outside: the client, the payload codec, and what is asked of a Temporal server."""
