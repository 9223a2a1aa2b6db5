"""Each task of classifiers of transformers: the outputs of every family, and what docs/reference/families.md says."""

import numpy as np
import pytest

import pct
from tests.pct.exported import traced_once
from tests.pct.models import hub
from tests.pct.models.families import FAMILIES, classifier, tokenizer
from tests.pct.models.hub import HUB
from tests.pct.models.tasks import TASKS, own_outputs, row
from tests.project import REPOSITORY


def rows_of_the_page() -> list[str]:
    return (REPOSITORY / "docs" / "reference" / "families.md").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_the_outputs_of_transformers_for_every_task(family, task):
    model = classifier(family, **task.own)
    expected = own_outputs(model, tokenizer(family), task)
    np.testing.assert_allclose(pct.wrap(model, tokenizer(family)).predict(task.texts), expected, atol=1e-5)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_row_of_a_task_is_what_a_model_of_it_does(task, tmp_path):
    with traced_once():  # models of several tasks have the same weights
        done = row(task, tmp_path)
    assert done in rows_of_the_page(), "python -m tests.pct.models.tasks prints the table"


@pytest.mark.parametrize("model", HUB, ids=lambda model: model.name)
def test_the_row_of_a_model_of_the_hub_is_how_it_is_taken(model):
    assert hub.row(model) in rows_of_the_page(), "python -m tests.pct.models.hub prints the table"


def test_the_page_has_no_other_model_of_the_hub():
    named = {line.split("`")[1] for line in rows_of_the_page() if line.startswith("| `") and "/" in line.split("`")[1]}
    assert named == {model.name for model in HUB}
    assert len(named) >= 20
