"""What the lessons need beside the lab: checks of the exercises."""
