"""The REST API: the only place that knows HTTP exists. `models` is shared with the client and knows no FastAPI."""
