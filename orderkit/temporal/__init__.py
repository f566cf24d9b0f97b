"""The Temporal client, the payload codec, and questions to a Temporal server."""
