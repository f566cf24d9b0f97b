"""What the lessons need beside the lab: the checks of their exercises, their props, and the bug museum."""
