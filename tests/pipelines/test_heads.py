"""The MLflow jobs take the head and the threshold of a classifier whose configuration does not state them."""

import json

import pytest

from pct.models.outputs import output_names
from tests.pct.models import families

NAMES = ["funny", "sad", "long"]
TEXTS = ["a brilliant film", "dull and stale", "not good at all", "fine acting , weak plot", "great fun", "a bore"] * 4


@pytest.fixture
def model(tmp_path):
    """A classifier of three outputs, without a problem type, and texts with lists of labels."""
    names = output_names(NAMES)
    for part in (families.classifier("BERT", classes=3, num_hidden_layers=1, **names), families.tokenizer("BERT")):
        part.save_pretrained(tmp_path / "mine")
    rows = [{"text": text, "label": NAMES[: i % 3]} for i, text in enumerate(TEXTS)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return ["--model", "mine", "--head", "sigmoid", "--threshold", "0.3", "--data", "rows.jsonl", "--quiet"]


def test_evaluate_reads_several_labels(model, client, capsys):
    from pipelines.evaluate import main

    assert main(model) == 0
    assert "micro_f1" in capsys.readouterr().out
    (run,) = client.search_runs(["0"])
    assert run.data.params["model.threshold"] == "0.3"


def test_audit_reads_several_labels(model, client):
    from pipelines.audit import main

    assert main([*model, "--budget", "cheap"]) == 0
    assert "audit.margin" in client.search_runs(["0"])[0].data.metrics
