"""pct predict and pct explain on a file: what comes out, what is refused, and that a stopped job goes on."""

import csv
import json
from pathlib import Path

import pytest

from pct import cli
from pct.output import files

MODEL = str(Path(__file__).parents[2] / "fixtures" / "v0.1.0" / "run-textcnn")
ROWS = [("the film is brilliant .", "positive"), ('a "dull", tired film', "negative"), ("dull", "negative")]


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "reviews.csv"
    with path.open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines).writerows([("text", "label"), *ROWS])
    return path


def test_a_file_is_predicted_with_its_true_classes_beside(data, tmp_path, capsys):
    output = tmp_path / "out.csv"
    assert cli.main(["predict", MODEL, "--data", str(data), "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"3 texts  {output}\n"
    with output.open(newline="", encoding="utf-8") as lines:
        actual = list(csv.DictReader(lines))
    assert [(r["row"], r["text"], r["gold"]) for r in actual] == [(str(i), *row) for i, row in enumerate(ROWS, 1)]
    assert all(r["label"] in ("negative", "positive") for r in actual)


@pytest.mark.parametrize(("kind", "texts"), [("csv", ""), ("jsonl", None)])
def test_labels_that_are_no_classes_are_left_out(kind, texts, data, tmp_path, capsys, caplog):
    data.write_text("text,label,stars\nthe film is brilliant .,Positive,5\ndull,mixed,1\na tired film,,2\n")
    output, model = tmp_path / f"out.{kind}", ["predict", MODEL] if kind == "csv" else ["explain", MODEL]
    arguments = [*model, "--data", str(data), "--output", str(output)]
    assert cli.main(arguments) == 0
    assert "reviews.csv: 2 rows have no label of the model" in caplog.text
    lines = output.read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(lines)) if kind == "csv" else [json.loads(line) for line in lines]
    assert [row["gold"] for row in rows] == ["positive", texts, texts]
    capsys.readouterr()
    assert cli.main([*arguments, "--label-column", "stars"]) == 1
    assert "label '5' is not one of negative, positive; --labels indices" in capsys.readouterr().err
    assert cli.main([*arguments, "--label-column", "star"]) == 1
    assert "has no column 'star', it has text, label, stars; set --label-column" in capsys.readouterr().err


def test_texts_given_are_predicted_on_the_spot(capsys):
    assert cli.main(["predict", MODEL, "the film is brilliant ."]) == 0
    label, confidence, text = capsys.readouterr().out.strip().split("  ")
    assert label in ("negative", "positive")
    assert 0.5 <= float(confidence) <= 1
    assert text == "the film is brilliant ."


def test_texts_given_are_predicted_as_json(capsys):
    assert cli.main(["predict", MODEL, "the film is brilliant .", "dull", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["text"], second["text"]) == ("the film is brilliant .", "dull")
    assert first["confidence"] == pytest.approx(max(first["probabilities"].values()))


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_a_file_that_is_given_as_a_text_is_refused(command, data, capsys):
    assert cli.main([command, MODEL, str(data)]) == 1
    assert capsys.readouterr().err == f"error: {data} is a file, not a text: give it by --data\n"


def test_a_file_without_labels_is_explained(tmp_path):
    (tmp_path / "texts.jsonl").write_text('{"review": "the film is brilliant ."}\n{"review": "dull"}\n')
    output = tmp_path / "out.jsonl"
    arguments = ["--data", str(tmp_path / "texts.jsonl"), "--text-column", "review", "--output", str(output)]
    assert cli.main(["explain", MODEL, *arguments, "--max-steps", "2", "--target", "negative"]) == 0
    actual = [json.loads(line) for line in output.read_text().splitlines()]
    assert [len(r["important_removed"]) for r in actual] == [2, 0]
    assert all((r["gold"], r["label"]) == (None, "negative") for r in actual)


def test_a_job_that_was_stopped_goes_on_by_the_same_command(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(files, "ROWS_PER_CHUNK", 1)
    command = ["explain", MODEL, "--data", str(data), "--output", str(tmp_path / "out.jsonl")]
    whole, explain, seen = files.explain_each, files.explain_each, []

    def stopped(predictor, texts, **options):
        if len(seen) == 1:
            raise KeyboardInterrupt
        seen.append(texts)
        return whole(predictor, texts, **options)

    monkeypatch.setattr(files, "explain_each", stopped)
    assert cli.main(command) == 130
    assert not (tmp_path / "out.jsonl").exists()
    monkeypatch.setattr(files, "explain_each", lambda p, texts, **o: seen.append(texts) or explain(p, texts, **o))
    assert cli.main([*command, "--max-steps", "3"]) == 1
    assert "it differs in max_steps); finish that one, remove the folder" in capsys.readouterr().err
    assert cli.main(command) == 0
    assert seen == [[text] for text, _ in ROWS]
    assert [json.loads(x)["row"] for x in (tmp_path / "out.jsonl").read_text().splitlines()] == [1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", MODEL], "give either texts or a file by --data"),
        (["predict", MODEL, "--text-pair", "b"], "--text-pair is the second text of a text of the command line"),
        (["predict", "no/such/folder", "a film"], "there is no folder no/such/folder"),
        (["explain", MODEL, "a film", "--zero-shot", ""], "--zero-shot has no labels"),
        (["predict", MODEL, "--data", "{data}"], "--data and --output need each other"),
        (["explain", MODEL, "--output", "x.jsonl"], "--data and --output need each other"),
        (["predict", MODEL, "a film", "--output", "x.jsonl"], "--data and --output need each other"),
        (["explain", MODEL, "a film", "--data", "{data}", "--output", "x.jsonl"], "not both"),
        (["explain", MODEL, "--data", "{data}", "--output", "{data}"], "is also --data"),
        (["explain", MODEL, "--data", "{data}", "--output", "x.xlsx"], "must end in .jsonl, .parquet, .html"),
        (["predict", MODEL, "--data", "{data}", "--output", "x.csv", "--text-column", "body"], "has no column 'body'"),
        (["predict", MODEL, "--data", "none.csv", "--output", "x.csv"], "data file none.csv does not exist"),
        (["explain", MODEL, "--data", "{data}", "--output", "x.html", "--target", "neutral"], "target 'neutral'"),
    ],
)
def test_what_is_wrong_is_named(arguments, message, data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main([x.replace("{data}", str(data)) for x in arguments]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert message in printed
    assert data.read_text(encoding="utf-8").startswith("text,label")


def test_a_row_that_cannot_be_used_ends_the_job_or_is_left_out(data, tmp_path, capsys):
    data.write_text(data.read_text(encoding="utf-8") + '"",positive\n', encoding="utf-8")
    command = ["predict", MODEL, "--data", str(data), "--output", str(tmp_path / "out.jsonl")]
    assert cli.main(command) == 1
    assert "row 4" in capsys.readouterr().err
    assert cli.main([*command, "--on-bad-row", "skip"]) == 0  # nothing was done before: there is nothing to mix
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    "given",
    [
        ["predict", "--data", "{data}", "--output", "{out}", "--text-pair", "b"],
        ["predict", "--data", "{data}", "--output", "{out}", "--workers", "2"],
        ["predict", "--data", "{data}", "--output", "{out}", "--ray", "local", "--processes", "2"],
        ["predict", "--data", "{data}", "--output", "{out}", "--ray", "local", "--on-bad-row", "skip"],
        ["predict", "a film", "--processes", "2"], ["predict", "a film", "--text-column", "review"],
        ["predict", "a film", "--keep", "id"], ["explain", "a film", "--workers", "2"],
        ["predict", "a film", "--encoding", "cp1252"], ["explain", "--data", "{data}", "--output", "{out}", "--json"],
        ["explain", "--data", "{data}", "--output", "{out}", "--gpus-per-worker", "0.5"],
        ["explain", "a film", "--ray", "local"], ["evaluate", "--data", "{data}", "--output", "{out}"],
        ["evaluate", "--data", "{data}", "--cpus-per-worker", "2"],
    ],
    ids=lambda given: " ".join(given),
)  # fmt: skip
def test_an_option_that_would_have_no_effect_is_refused(given, data, tmp_path, capsys):
    command, *rest = (part.format(data=data, out=tmp_path / "out.jsonl") for part in given)
    option = [part for part in rest if part.startswith("--") and part not in ("--data", "--ray")][-1:] or ["--ray"]
    assert cli.main([command, MODEL, *rest]) == 1
    assert f"error: {option[0]} has no effect with" in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("command", ["predict", "explain", "evaluate"])
def test_a_file_s_name_is_refused_for_the_folder_of_a_job_on_ray(command, data, tmp_path, capsys):
    output = tmp_path / "out.csv"
    assert cli.main([command, MODEL, "--data", str(data), "--output", str(output), "--ray", "local"]) == 1
    reason = "with --ray the result is a folder of Parquet files; leave out .csv"
    assert capsys.readouterr().err == f"error: --output {output}: {reason}\n"
    assert not output.exists()


def test_a_pattern_without_ray_is_refused_with_the_option_that_reads_it(tmp_path, capsys):
    pattern = tmp_path / "*.parquet"
    assert cli.main(["predict", MODEL, "--data", str(pattern), "--output", str(tmp_path / "out.jsonl")]) == 1
    reason = "does not exist (a pattern of Parquet files is read by --ray local)"
    assert capsys.readouterr().err == f"error: data file {pattern} {reason}\n"
