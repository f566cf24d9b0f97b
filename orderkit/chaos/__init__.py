"""Chaos: orders under faults while processes are killed and paused, then the auditor. The same seed, the same plan."""
