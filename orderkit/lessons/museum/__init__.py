"""The bug museum: order workflows as people really write them, each with one bug, and what runs them.

This file stays empty: a workflow module loads it inside Temporal's sandbox.
"""
