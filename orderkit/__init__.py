"""orderkit: learn Temporal with a real order system in notebooks."""

__version__ = "0.1.0"
