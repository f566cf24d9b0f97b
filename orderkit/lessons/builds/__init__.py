"""Lesson 08: the builds of one workflow, each with its code, worker process and build id, in a deployment of its own.

`deaf` is the museum's deaf order as it is. `hasty`, `patched` and `typo` are what its authors changed.
"""
