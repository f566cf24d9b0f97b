"""Many orders, so many of them open at once: how fast, how late, how they ended, and whether the money is right."""
