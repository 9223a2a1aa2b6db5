"""The command line, as a user calls it."""

import errno
import json
import os
import signal
import subprocess
import sys
from types import ModuleType

import pytest

import pct
from pct import cli
from pct.commands.errors import one_line_message
from pct.explaining.explanation import Explanation

SMALL = ("--corpus", "planted", "--limit", "120", "--epochs", "1", "--quiet", "--evaluate-epochs", "false")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert cli.main(["train", *SMALL, "--run-dir", str(folder)]) == 0
    return folder


def test_help_lists_every_command_and_examples(capsys):
    assert cli.main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in cli.COMMANDS)
    assert "examples:" in printed


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_tells_its_options_with_an_example(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, "--help"])
    assert "example:" in capsys.readouterr().out


def test_the_help_shows_the_kind_of_a_number(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["evaluate", "--help"])
    printed = capsys.readouterr().out
    assert all(f"  {option}" in printed for option in ("--limit N ", "--p-important X,", "--cpus-per-worker X "))


def test_the_package_is_executed_as_the_command():
    done = subprocess.run([sys.executable, "-m", "pct", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"pct {pct.__version__}\n"


def test_an_unknown_command_is_named_with_those_there_are(capsys):
    assert cli.main(["tarin"]) == 2
    assert "no command 'tarin'; there are audit, train, evaluate" in capsys.readouterr().err


def test_a_former_name_of_a_command_works_and_names_the_new_one(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["mend", "--help"])
    told = capsys.readouterr()
    assert told.err == "pct mend is now pct finetune\n"
    assert told.out.startswith("usage: pct finetune")


def test_no_command_is_a_usage_error(capsys):
    assert cli.main([]) == 2
    assert "commands:" in capsys.readouterr().out


def test_a_wrong_setting_is_one_line_and_exit_code_1(capsys, tmp_path):
    assert cli.main(["train", "--alpha=-1", "--run-dir", str(tmp_path / "r")]) == 1
    assert capsys.readouterr().err == "error: alpha must be >= 0 and finite, got -1.0\n"
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("problem", [OSError(errno.ENOSPC, "x"), OSError(errno.ENOSPC, "x", "a.csv")], ids=str)
def test_an_error_of_the_system_has_the_remedy_with_and_without_a_file(problem):
    file = "a.csv: " if problem.filename else ""
    assert one_line_message(problem) == f"{file}the disk is full; free disk space, or give another path"


def test_errors_name_options_as_the_command_line_has_them(capsys, tmp_path):
    file = tmp_path / "texts.csv"
    file.write_text("review,stars\nfine,1\n")
    assert cli.main(["train", "--train-file", str(file)]) == 1
    assert "no column 'text', it has review, stars; set --text-column" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "m", "a film", "--text-pairs", "b"], "no option --text-pairs; did you mean --text-pair?"),
        (["evaluate", "m", "--text-pair", "b"], "no option --text-pair; did you mean --text-pair-column?"),
        (["train", "--epoch=3"], "no option --epoch; did you mean --epochs?"),
        (["train", "mr"], "unexpected argument mr"),
    ],
)
def test_options_are_not_abbreviated_and_the_nearest_is_named(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)
    assert capsys.readouterr().err == f"error: {message} (pct {arguments[0]} --help lists the options)\n"


def test_output_that_nobody_reads_ends_the_command_without_a_word():
    command = f"{sys.executable} -m pct.cli explain --help; echo $?"
    shell = ["bash", "-c", f"set -o pipefail; ({command}) 2>&1 | head -1 | cat"]
    lines = subprocess.run(shell, capture_output=True, text=True).stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("usage:")


def test_help_and_wrong_options_are_answered_before_anything_slow_is_imported():
    """One fresh process for all of them: what one command loads shows in its own line and in those after it."""
    wrong = {
        "run --alpha=-1": 1, "sweep --trials=2 --set=alpha=none": 1, "compare --alpha=-1": 1, "predict none": 1,
        "serve none --max-texts x": 2, "serve none --poll nan": 1, "evaluate none --saliency x": 1,
        "explain none text --saliency x": 1, "explain none text --data x.csv --output x.html": 1,
        "export none folder --to transformers --int8": 1,
    }  # fmt: skip
    options = {"--help": 0, "--no-such-option": 2}
    expected = {f"{name} {option}": code for name in cli.COMMANDS for option, code in options.items()} | wrong
    code = """
import contextlib, io, sys
import pct.cli
slow = {"torch", "transformers", "datasets", "mlflow", "ray", "bentoml", "onnxruntime", "pandas", "matplotlib"}
for command in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            code = pct.cli.main(command.split())
        except SystemExit as end:
            code = end.code
    print(command, code, *sorted(slow & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code, *expected], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{command} {code}" for command, code in expected.items()]


def test_a_finished_run_is_not_trained_again(run_folder, capsys):
    before = (run_folder / "model" / "model.safetensors").stat().st_mtime_ns
    assert cli.main(["train", *SMALL, "--run-dir", str(run_folder)]) == 0
    assert "not trained again" in capsys.readouterr().out
    assert (run_folder / "model" / "model.safetensors").stat().st_mtime_ns == before


def test_evaluate_prints_json_for_a_file_and_writes_the_values_of_each_text(run_folder, tmp_path, capsys):
    data = tmp_path / "reviews.csv"
    data.write_text("text,label\nthe film is brilliant .,positive\nthe film is dull .,negative\n", encoding="utf-8")
    arguments = ["evaluate", str(run_folder), "--data", str(data), "--json", "--per-text", str(tmp_path / "t.parquet")]
    assert cli.main(arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["texts"] == 2
    assert 0 <= printed["metrics"]["acc"] <= 1
    assert set(printed["gaps"]) == {"comp-suff", "ur-ir", "i_var-u_var"}
    assert (tmp_path / "t.parquet").is_file()


def test_evaluate_says_which_column_a_file_lacks(run_folder, tmp_path, capsys):
    data = tmp_path / "reviews.csv"
    data.write_text("review,label\nfine film,positive\n", encoding="utf-8")
    assert cli.main(["evaluate", str(run_folder), "--data", str(data)]) == 1
    assert "has no column 'text', it has review, label" in capsys.readouterr().err
    assert cli.main(["evaluate", str(run_folder), "--data", str(data), "--text-column", "review"]) == 0


def test_evaluate_takes_a_corpus_split_and_another_order(run_folder, capsys):
    arguments = ["evaluate", str(run_folder), "--split", "validation", "--limit", "20", "--order", "recomputed"]
    assert cli.main(arguments) == 0
    assert "planted, validation split, 20 texts" in capsys.readouterr().out


def test_explain_prints_the_words_and_both_curves(run_folder, capsys):
    assert cli.main(["explain", str(run_folder), "despite its slow start , the film is brilliant"]) == 0
    printed = capsys.readouterr().out
    assert "most salient first" in printed
    assert "least salient first" in printed
    assert "\x1b" not in printed  # not a terminal


def test_explain_reads_lines_and_explains_the_class_that_is_asked_for(run_folder, capsys, monkeypatch):
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("a dull film\n\na brilliant film\n"))
    assert cli.main(["explain", str(run_folder), "--target", "negative", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [([w["word"] for w in e["words"]], e["target"]) for e in printed] == [
        (["a", "dull", "film"], "negative"),
        (["a", "brilliant", "film"], "negative"),
    ]
    assert all(len(e["important"]["steps"]) == 2 for e in printed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "neutral", "x"], "target 'neutral' is not one of negative, positive"),
        (["--max-steps", "-1", "x"], "max_steps must be a whole number >= 0, got -1"),
        (["   "], "a text needs at least one word"),
    ],
)
def test_explain_names_what_is_wrong(run_folder, capsys, arguments, message):
    assert cli.main(["explain", str(run_folder), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_folder_without_a_model_is_an_error_with_the_remedy(tmp_path, capsys):
    assert cli.main(["explain", str(tmp_path), "a film"]) == 1
    assert "holds no classifier" in capsys.readouterr().err


def test_compare_prints_a_row_a_method_and_goes_on_where_it_stopped(tmp_path, capsys):
    arguments = ["compare", "--methods", "normal", "pct", "--seeds", "0", "1", "--runs", str(tmp_path / "runs"),
                 "--json", str(tmp_path / "rows.json"), "--no-report", *SMALL]  # fmt: skip
    assert cli.main(arguments) == 0
    printed = capsys.readouterr()
    cells = [
        [cell.strip() for cell in line.split("|")] for line in printed.out.splitlines() if line.startswith("| planted")
    ]
    assert [row[3:5] for row in cells] == [["normal", "2"], ["pct", "2"]]
    rows = json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))
    assert [row["runs"] for row in rows] == [2, 2]
    assert rows[0]["metrics"]["acc"]["deviation"] is not None
    times = {p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("model.safetensors")}
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out == printed.out
    assert {p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("model.safetensors")} == times


def test_an_exported_model_is_explained_as_the_model_it_came_from(run_folder, tmp_path, capsys):
    assert cli.main(["export", str(run_folder), str(tmp_path / "exported")]) == 0
    assert "saliency_l2" in capsys.readouterr().out
    explanations = []
    for model in (run_folder, tmp_path / "exported"):
        assert cli.main(["explain", str(model), "the film is brilliant .", "--json"]) == 0
        explanations.append(Explanation.from_dict(json.loads(capsys.readouterr().out)[0]))
    one, other = explanations
    assert other.words == one.words
    assert other.saliency == pytest.approx(one.saliency, abs=1e-4)
    assert other.important.confidences == pytest.approx(one.important.confidences, abs=1e-4)


def test_an_export_never_overwrites_what_is_no_exported_model(run_folder, capsys):
    assert cli.main(["export", str(run_folder), str(run_folder)]) == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert (run_folder / "report.json").is_file()


def test_a_terminated_command_ends_as_an_interrupted_one(monkeypatch, capsys):
    module = ModuleType("terminated")
    module.main = lambda arguments: os.kill(os.getpid(), signal.SIGTERM)
    monkeypatch.setitem(sys.modules, "terminated", module)
    monkeypatch.setitem(cli.COMMANDS, "train", ("terminated", ""))
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["train"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("options", "noted"), [(["--model", "distilbert"], 1), (["--model", "distilbert", "--method", "pct"], 0), ([], 0)]
)
def test_the_default_method_is_advised_against_for_encoders(options, noted, monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("pct.training.runs.run", interrupted)
    assert cli.main(["train", *options]) == 130
    assert capsys.readouterr().err.count("removal_margin made them better") == noted
