"""A typed client of the REST API; errors come back as orderkit's own."""

from orderkit.client.client import OrderkitClient

__all__ = ["OrderkitClient"]
