"""Builds of the workers, as Temporal's Worker Versioning knows them: by an id, within a deployment."""

import re

DEPLOYMENT = "orderkit"
UNVERSIONED = "(no build id)"  # the workers that were started without one
BUILD_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
# No dot: Temporal takes it for the deployment's end. With a slash, since the Worker Controller says namespace/name.
DEPLOYMENT_PATTERN = r"[A-Za-z0-9][A-Za-z0-9/_-]{0,127}"


def check_build_id(build_id: str) -> str:
    """The problem with a build id; empty if there is none. A colon would end the deployment's name."""
    if re.fullmatch(BUILD_ID_PATTERN, build_id):
        return ""
    shown = build_id if len(build_id) <= 60 else f"{build_id[:60]}…"
    return f"{shown!r} is no build id: use 1 to 64 letters, digits, dots, _ or - (starting with a letter or digit)"
