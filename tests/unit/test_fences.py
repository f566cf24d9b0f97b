"""Each fence that `make fences` takes out stands in the code as the list says: else the run stops in its middle."""

from __future__ import annotations

import pytest
from support.fences import ROOT, Edit, read_fences

FENCES = read_fences()


@pytest.mark.parametrize("edits", FENCES.values(), ids=FENCES)
def test_a_fence_stands_where_the_list_says(edits: list[Edit]) -> None:
    for edit in edits:
        assert (ROOT / edit.file).read_text().count(edit.stands) == 1, edit.stands
