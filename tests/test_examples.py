"""The scripts of examples/ run as they stand, but for the first one: a narrow model, fewer texts and contrasts."""

import json
import re
import runpy
import sys
from dataclasses import replace

import pytest

import pct
from pct.settings import Settings
from tests.narrow import narrow
from tests.pct.small import small_encoder, tokenizer
from tests.pipelines.conftest import empty_store, uri  # noqa: F401  a tracking of the test's own
from tests.project import REPOSITORY
from tests.serving.conftest import exported  # noqa: F401
from tests.tuning.conftest import local_ray  # noqa: F401
from tuning import sweep

EXAMPLES = REPOSITORY / "examples"


def run_example(name: str, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_quickstart(uri, capsys, monkeypatch):  # noqa: F811
    fewer = {"limit": 3500, "contrast_every": 20, "lr": 1e-2}  # enough to learn, in seconds
    monkeypatch.setattr(pct, "Settings", lambda **given: Settings(**given | fewer))
    with narrow():
        run_example("quickstart.py", monkeypatch=monkeypatch)
    output = capsys.readouterr().out
    assert re.search(r"^(positive|negative), 0\.\d+$", output, re.M)
    assert float(re.search(r"^acc +(\S+)", output, re.M)[1]) > 0.6  # type: ignore[index]
    assert "comp-suff" in output


def test_serve_and_ask(
    exported,  # noqa: F811
    tmp_path,
    capsys,
    monkeypatch,
):
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    monkeypatch.setenv("PCT_CACHE_DIR", str(tmp_path / "cache"))
    run_example("serve_and_ask.py", str(exported["pct"]), monkeypatch=monkeypatch)
    output = capsys.readouterr().out
    assert re.search(r"^(positive|negative) \(0\.\d+\): A dull and lifeless comedy\.$", output, re.M)
    assert re.search(r"^(healthy|pathological|undecided): \S", output, re.M)


def test_the_commands_of_the_sweep_are_plans_of_four_trials_and_of_one_more(capsys, monkeypatch, tmp_path):
    plans = []

    def read_alone(command: list[str]) -> int:
        plan, resources, folder = sweep.read(sweep.parser().parse_args(command[1:]))
        plan.save(folder, resources)
        plans.append(plan)
        chosen = {"trial": "baseline", "method": "normal", "why": "no trial is better"}
        (folder / "results.json").write_text(json.dumps({"chosen": chosen}))
        return 0

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pct.cli.main", read_alone)
    run_example("sweep.py", monkeypatch=monkeypatch)
    assert plans[1] == replace(plans[0], trials=plans[0].trials + 1)
    assert plans[0].trials == 4
    assert capsys.readouterr().out == "chosen: baseline: no trial is better\n"


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_sweep(uri, capsys, monkeypatch):  # noqa: F811
    run_example("sweep.py", monkeypatch=monkeypatch)
    output = capsys.readouterr().out
    assert "models:/pct-planted-textcnn/1 is @champion" in output
    assert re.search(r"^chosen: (trial-00\d|baseline): \S", output, re.M)


@pytest.mark.parametrize("name", ["own_loop.py", "transformers_trainer.py"])
def test_the_methods_in_other_loops(name, tmp_path, capsys, monkeypatch):
    if name == "transformers_trainer.py":
        pytest.importorskip("accelerate")
    small_encoder().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    run_example(name, str(tmp_path), monkeypatch=monkeypatch)
    output = capsys.readouterr().out
    assert ("'contrastive': " if name == "own_loop.py" else "'eval_loss': ") in output
