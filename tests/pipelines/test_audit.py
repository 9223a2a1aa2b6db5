"""The audit job: its numbers, judgement and files in an MLflow run, the gate, and the tags of a registered version."""

import json
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

import pct
from pct.auditing.kept import AuditSummary
from pct.auditing.result import Audit
from pct.commands.audit import UNMET
from pct.saliency.defaults import default_saliency
from pipelines import audit as job
from pipelines.audit import main
from pipelines.registry import with_verdict
from pipelines.upload import upload_run
from tests.audits import small_audit

ROWS = [
    ("a brilliant film", "positive"), ("dull and stale", "negative"), ("a fine and lovely score", "positive"),
    ("a dreadful bore , a bad plot", "negative"), ("great fun from start to end", "positive"),
]  # fmt: skip
CHEAP = ["--budget", "cheap", "--saliencies", "l2", "occlusion", "--quiet"]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    pd.DataFrame(ROWS, columns=["text", "label"]).to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path / "rows.csv"


def judged(monkeypatch: pytest.MonkeyPatch, best: str, margin: float = 0.3) -> None:
    """The audit comes to this, whatever the model."""
    monkeypatch.setattr("pct.auditing.audit.audit", lambda *_, **__: small_audit(best, margin))


def newest(client: Any) -> Any:
    return client.search_runs(["0"], order_by=["start_time DESC"])[0]


def test_an_audit_is_logged_with_its_numbers_judgement_and_files(run_dir, rows, tmp_path, client, capsys):
    assert main(["--model", str(run_dir), "--data", str(rows), *CHEAP]) == 0
    shown = capsys.readouterr().out
    run = newest(client)
    folder = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    result = Audit.load(folder / "audit.json")
    assert {row.saliency for row in result.rows} == {"l2", "occlusion", "random"}
    assert all((folder / name).stat().st_size for name in ("audit.html", "audit.md"))
    for name in ("margin", "win", "comp-suff"):
        value, low, high = result.best_metrics[name]
        for part, number in (("", value), ("_low", low), ("_high", high)):
            assert run.data.metrics[f"audit.{name}{part}"] == pytest.approx(number)
    assert run.data.tags["pct.audit.best"] == (result.best or "none")
    assert run.data.tags["pct.audit.texts"] == "5"
    assert run.data.tags["pct.audit.verdict"] == result.verdict
    assert run.data.params["model"] == str(run_dir)
    assert run.data.params["budget"] == "cheap"
    assert run.data.params["saliencies"] == "l2, occlusion, random"
    assert run.info.status == "FINISHED"
    (data,) = run.inputs.dataset_inputs
    assert json.loads(data.dataset.profile)["num_rows"] == 5
    assert result.verdict in shown.replace("\n", " ")


def test_the_texts_of_a_limit_are_those_of_pct_audit(run_dir, rows, client, tmp_path, capsys):
    from pct import cli

    options = ["--data", str(rows), "--budget", "cheap", "--saliencies", "l2", "--limit", "3", "--seed", "7", "--quiet"]
    assert main(["--model", str(run_dir), *options]) == 0
    folder = Path(client.download_artifacts(newest(client).info.run_id, "", str(tmp_path)))
    capsys.readouterr()
    assert cli.main(["audit", str(run_dir), *options, "--json"]) == 0
    theirs = Audit.from_dict(json.loads(capsys.readouterr().out))
    mine = Audit.load(folder / "audit.json")
    assert mine.texts == theirs.texts == 3
    assert mine.row("l2").metrics["margin"] == pytest.approx(theirs.row("l2").metrics["margin"])


def test_a_requirement_that_is_not_met_fails_the_run_and_is_named(run_dir, rows, client, monkeypatch, capsys):
    judged(monkeypatch, "occlusion")
    asked = ["--model", str(run_dir), "--data", str(rows)]
    assert main([*asked, "--require", "margin>0.2; win>0.8", "--require", "acc>0.7"]) == 0
    assert newest(client).info.status == "FINISHED"
    assert main([*asked, "--require", "margin>0.28; win>0.8"]) == UNMET == 3
    run = newest(client)
    assert run.info.status == "FAILED"
    assert "audit.margin" in run.data.metrics  # what was measured is there all the same
    output = capsys.readouterr().err
    assert "requirement: margin>0.28 is not met: 0.3000 [0.2500, 0.3500]" in output
    assert "win" not in output
    assert run.data.tags["pct.audit.unmet"].startswith("margin>0.28 is not met")


def test_an_audit_that_cannot_be_logged_is_kept_in_a_file(run_dir, rows, tmp_path, client, monkeypatch, capsys):
    def gone(*_, **__):
        raise ConnectionError("gone")

    judged(monkeypatch, "occlusion")
    monkeypatch.setattr(job, "log_audit", gone)
    assert main(["--model", str(run_dir), "--data", str(rows)]) == 3
    errors = capsys.readouterr().err
    run = newest(client)
    assert run.info.status == "FAILED"
    assert f"the audit is in audit-{run.info.run_id}.json" in errors
    assert "error: not logged to" in errors
    assert Audit.load(tmp_path / f"audit-{run.info.run_id}.json").best == "occlusion"


@pytest.mark.parametrize("wrong", ["margin=0.2", "nothing>0.1"])
def test_a_requirement_that_cannot_be_judged_is_an_error(wrong, run_dir, rows, monkeypatch, capsys):
    judged(monkeypatch, "occlusion")
    assert main(["--model", str(run_dir), "--data", str(rows), "--require", wrong]) == 1
    assert wrong[:6] in capsys.readouterr().err


def test_several_values_stand_in_one_parameter_as_mlflow_gives_them(run_dir, rows, client, capsys):
    asked = ["--model", str(run_dir), "--data", str(rows), "--budget", "cheap", "--quiet"]
    assert main([*asked, "--saliencies", "l1, grad_x_input l2"]) == 0
    assert newest(client).data.params["saliencies"] == "l1, grad_x_input, l2, random"


def test_a_registered_version_has_the_judgement_as_tags_and_explains_by_it(run_dir, rows, client, monkeypatch, capsys):
    registered = upload_run(run_dir).registered
    assert registered is not None
    assert pct.load(registered.uri).audited == ""
    judged(monkeypatch, "occlusion")
    assert main(["--model", registered.uri, "--data", str(rows)]) == 0
    assert f"{registered.uri} has the judgement as tags" in capsys.readouterr().out
    version = client.get_model_version(registered.name, str(registered.version))
    assert version.tags["pct.audit.best"] == "occlusion"
    assert version.tags["pct.audit.margin"] == "0.300000 [0.250000, 0.350000]"
    assert version.tags["pct.audit.removal"] == "delete"
    assert AuditSummary.from_tags(version.tags) == AuditSummary.of(small_audit("occlusion"))
    assert version.tags["method"] == "pct"  # what stood there stays
    assert version.description.endswith("Show occlusion.")
    assert default_saliency(pct.load(registered.uri)).name == "occlusion"

    # audited again, by its alias
    judged(monkeypatch, "l1")
    assert main(["--model", f"models:/{registered.name}@champion", "--data", str(rows)]) == 0
    version = client.get_model_version(registered.name, str(registered.version))
    assert version.tags["pct.audit.best"] == "l1"
    assert "occlusion" not in version.description
    loaded = pct.load(f"models:/{registered.name}@champion")
    assert (loaded.audited, loaded.audit.margin.low) == ("l1", 0.25)


def test_a_version_without_a_best_saliency_is_explained_as_one_that_was_not_audited(run_dir, rows, client, monkeypatch):
    registered = upload_run(run_dir).registered
    assert registered is not None
    judged(monkeypatch, "")
    assert main(["--model", registered.uri, "--data", str(rows)]) == 0
    tags = client.get_model_version(registered.name, str(registered.version)).tags
    assert tags["pct.audit.best"] == "none"
    loaded = pct.load(registered.uri)
    assert loaded.audited == ""
    assert "not audited" in default_saliency(loaded).reason


def test_a_service_of_a_version_that_was_audited_knows_the_judgement(run_dir, rows, tmp_path, monkeypatch):
    from serving.model_sources import RegistryWatch, resolve

    registered = upload_run(run_dir).registered
    assert registered is not None
    alias = f"models:/{registered.name}@champion"
    before = resolve(alias, tmp_path / "cache")
    assert before.audit == {}
    watch = RegistryWatch([before], tmp_path / "models.json", tmp_path / "cache")
    assert not watch.check()
    judged(monkeypatch, "occlusion")
    assert main(["--model", alias, "--data", str(rows)]) == 0
    assert watch.check()  # the same version, judged since
    wanted = AuditSummary.of(small_audit("occlusion")).to_dict()
    assert watch.models[0].audit == resolve(alias, tmp_path / "cache").audit == wanted


def test_a_description_has_one_verdict_the_latest():
    first, second = (AuditSummary.of(small_audit(best)) for best in ("l2", "l1"))
    described = with_verdict(with_verdict("A text classifier.", first), second)
    assert described.splitlines() == [
        "A text classifier.", "Audit of the explanations (40 texts): Show l1.",
    ]  # fmt: skip
    assert with_verdict("", first) == "Audit of the explanations (40 texts): Show l2."


def test_mlflows_own_evaluation_audits_where_it_is_asked_to(run_dir, client, monkeypatch):
    registered = upload_run(run_dir).registered
    assert registered is not None
    data = pd.DataFrame(ROWS, columns=["text", "label"])

    def evaluated(**config):
        with mlflow.start_run() as active:
            found = mlflow.models.evaluate(
                registered.uri, data, targets="label", model_type="classifier", evaluators="pct",
                evaluator_config={"metrics": ["acc"], **config},
            )  # fmt: skip
        return found, client.get_run(active.info.run_id)

    result, run = evaluated(audit={"budget": "cheap", "saliencies": ["l2"]})
    theirs = pct.load(registered.uri)
    wanted = pct.audit(theirs, ([t for t, _ in ROWS], [x for _, x in ROWS]), ["l2"], "cheap")
    assert run.data.metrics["audit.margin"] == pytest.approx(wanted.best_metrics["margin"].value)
    assert result.metrics["audit.win_low"] == pytest.approx(wanted.best_metrics["win"].low)
    assert run.data.tags["pct.audit.texts"] == "5"
    files = {f.path for f in client.list_artifacts(run.info.run_id)}
    assert {"audit.html", "audit.json", "audit.md", "report.json"} <= files
    result, run = evaluated(audit=False)
    assert not any(name.startswith("audit.") for name in run.data.metrics)
    with pytest.raises(ValueError, match="audit has no colour; there are saliencies, budget"):
        evaluated(audit={"colour": "red"})
    with pytest.raises(ValueError, match="audit must be True, False or a dictionary of saliencies"):
        evaluated(audit="cheap")


def test_the_project_has_the_entry(tmp_path):
    import yaml  # type: ignore[import-untyped]

    from tests.project import REPOSITORY

    entry = yaml.safe_load((REPOSITORY / "MLproject").read_text())["entry_points"]["audit"]
    command = entry["command"].format(model="a", data="b.csv", budget="cheap", limit=5)
    options = job._parser().parse_args(command.split()[3:])
    assert (options.model, options.data, options.budget, options.limit) == ("a", "b.csv", "cheap", 5)
    assert command.split()[:3] == ["python", "-m", "pipelines.audit"]
    assert set(entry["parameters"]) == {"model", "data", "budget", "limit"}
