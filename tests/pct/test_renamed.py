"""Old names go on for one release, with a warning that names the new one."""

from importlib import import_module

import pytest

from pct.explaining.predictor import replacement_token_of
from pct.renamed import NAMES
from tests.pct.toy import Scale


@pytest.mark.parametrize(("module", "old"), [(module, old) for module, names in NAMES.items() for old in names])
def test_an_old_name_is_the_new_one_and_warns(module, old):
    new_module, _, new = NAMES[module][old].partition(":")
    with pytest.warns(DeprecationWarning, match=f"{module}.{old} is now {new_module}.{new}"):
        renamed = getattr(import_module(module), old)
    assert renamed is getattr(import_module(new_module), new)
    assert not hasattr(import_module(module), "none")


def test_the_names_of_version_0_1_are_all_there():
    assert {f"{module}.{old}" for module, names in NAMES.items() for old in names} == {
        "pct.mend", "pct.Mended", "pct.explaining.explanation.explain", "pct.explaining.predictor.StandsIn",
        "pct.registry.methods", "pct.registry.metrics", "pct.text.typed.as_typed", "pct.training.runs.alone_in",
        "pct.writing.whole_file", "pct.writing.whole_folder",
    }  # fmt: skip


def test_a_predictor_may_have_the_old_name_of_its_replacement_token():
    class Old(Scale):
        def stand_in(self, removal):
            return 7

    with pytest.warns(DeprecationWarning, match="stand_in of a predictor is now replacement_token_id"):
        assert replacement_token_of(Old(), "mask") == 7
    with pytest.raises(ValueError, match="Scale has no token for removal mask"):
        replacement_token_of(Scale(), "mask")
