"""Old names go on for one release, with a warning that names the new one."""

from __future__ import annotations

from importlib import import_module

import pytest

from pct.explaining.predictor import replacement_token_of
from tests.pct.toy import Scale


@pytest.mark.parametrize(("module", "old", "new"), [
    ("pct.writing", "whole_file", "pct.writing.atomic_write"),
    ("pct.writing", "whole_folder", "pct.writing.atomic_folder"),
    ("pct.training.runs", "alone_in", "pct.training.runs.folder_lock"),
    ("pct.explaining.predictor", "StandsIn", "pct.explaining.predictor.HasReplacementToken"),
    ("pct", "mend", "pct.finetune"),
    ("pct", "Mended", "pct.Finetuned"),
    ("pct.explaining.explanation", "explain", "pct.explaining.explain.explain"),
])  # fmt: skip
def test_an_old_name_is_the_new_one_and_warns(module, old, new):
    with pytest.warns(DeprecationWarning, match=f"{module}.{old} is now {new}"):
        found = getattr(import_module(module), old)
    place, _, name = new.rpartition(".")
    assert found is getattr(import_module(place), name)
    assert not hasattr(import_module(module), "none")


def test_a_predictor_may_have_the_old_name_of_its_replacement_token():
    class Old(Scale):
        def stand_in(self, removal):
            return 7

    with pytest.warns(DeprecationWarning, match="stand_in of a predictor is now replacement_token_id"):
        assert replacement_token_of(Old(), "mask") == 7
    with pytest.raises(ValueError, match="Scale has no token for removal mask"):
        replacement_token_of(Scale(), "mask")
