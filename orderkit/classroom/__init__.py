"""The class: an instructor's board, and the part of a notebook that tells it. No order and no lab is reachable here."""
