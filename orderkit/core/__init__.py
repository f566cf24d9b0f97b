"""The order system without any I/O, clock or randomness: the same input, the same answer, everywhere.

Modules with payload classes do not postpone annotations: inside Temporal's sandbox their names could not be looked up.
"""
