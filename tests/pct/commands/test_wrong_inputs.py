"""Whatever is wrong with what a command is given, it ends with one line and no traceback."""

import gzip
import shutil

import pytest

from tests.one_line import ends_with_one_line
from tests.pct.models.families import classifier, tokenizer
from tests.pct.small import small_classifier
from tests.pipelines.conftest import empty_store  # noqa: F401  an MLflow database without runs

FILES = {
    "empty.csv": b"", "header.csv": b"text,label\n", "columns.csv": b"id,words\n1,a\n",
    "bytes.csv": bytes(range(256)) * 4, "latin.csv": "text,label\ncaf\xe9,negative\n".encode("latin-1"),
    "nul.csv": b"text,label\na\x00b,\x00\n", "huge_field.csv": b"text,label\n" + b"a" * 200_000 + b",negative\n",
    "open_quote.csv": b'text,label\n"a film,negative\n', "label.csv": b"text,label\na film,joyful\n",
    "no_text.csv": b"text,label\n,negative\n", "empty.jsonl": b"",
    "broken.jsonl": b'{"text": "a", "label": "negative"\n', "list.jsonl": b"[1, 2]\n", "number.jsonl": b"3\n",
    "null.jsonl": b'{"text": null, "label": "negative"}\n', "nested.jsonl": b'{"text": {"a": 1}, "label": {}}\n',
    "deep.jsonl": b"[" * 100_000 + b"\n", "large_label.jsonl": b'{"text": "a", "label": 1' + b"0" * 400 + b"}\n",
    "nan.jsonl": b'{"text": "a", "label": NaN}\n', "words.txt": b"a film\n",
    "plain.csv.gz": b"text,label\na,negative\n",
    "cut.csv.gz": gzip.compress(b"text,label\n" + b"a film,negative\n" * 99)[:-12],
    "damaged.csv.gz": gzip.compress(b"text,label\n" * 99)[:20] + b"\xff" * 30,
}  # fmt: skip
SETTINGS = [
    ["--epochs", "0"], ["--epochs", "1.5"], ["--epochs", "many"], ["--lr", "nan"], ["--lr", "inf"], ["--alpha", "-1"],
    ["--batch-size", "0"], ["--max-length", "2"], ["--method", "magic"], ["--corpus", "nowhere"],
    ["--p-important", "2"],
    ["--saliency", "l3"], ["--device", "toaster"], ["--precision", "int3"], ["--model", "/no/such/folder"],
    ["--model", "no/such-model"], ["--glove", "/no/such/file"], ["--threads", "-1"], ["--threads", "1000000"],
    ["--seed", "x"], ["--seed", "18446744073709551616"],
    ["--vocabulary-size", "0"], ["--evaluate-epochs", "perhaps"], ["--words", "no_such_module:split"],
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with wrong files and folders, and sound models beside them."""
    root = tmp_path_factory.mktemp("wrong")
    for name, content in FILES.items():
        (root / name).write_bytes(content)
    small_classifier("textcnn", classes=2).save(root / "sound")
    bert = root / "classifier"
    classifier("BERT", classes=2).save_pretrained(bert)
    tokenizer("BERT").save_pretrained(bert)
    for name in ("no_config", "no_weights", "bad_config", "bad_weights", "cut_weights", "other_json"):
        for kind in ("sound", "classifier"):
            folder = shutil.copytree(root / kind, root / f"{kind}_{name}")
            config = folder / ("classifier.json" if kind == "sound" else "config.json")
            weights = folder / "model.safetensors"
            if name == "no_config":
                config.unlink()
            elif name == "no_weights":
                weights.unlink()
            elif name == "bad_config":
                config.write_text("{", encoding="utf-8")
            elif name == "other_json":
                config.write_text("[1]", encoding="utf-8")
            elif name == "bad_weights":
                weights.write_bytes(b"\xff" * 64)
            else:
                weights.write_bytes(weights.read_bytes()[:-100])
    shutil.copytree(bert, root / "classifier_bad_tokenizer")
    (root / "classifier_bad_tokenizer" / "tokenizer.json").write_text("{}", encoding="utf-8")
    (root / "empty_folder").mkdir()
    return root


MODELS = [
    "nowhere", "no/such-model", "empty_folder", "words.txt", "classifier_bad_tokenizer", "runs:/abc/model",
    *(f"{kind}_{name}" for kind in ("sound", "classifier")
      for name in ("no_config", "no_weights", "bad_config", "bad_weights", "cut_weights", "other_json")),
]  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("command", ["evaluate", "explain", "export", "finetune"])
def test_a_model_that_is_none(command, model, place, capsys, tmp_path, monkeypatch, empty_store):  # noqa: F811
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{empty_store}")
    name = str(place / model) if (place / model).exists() else model
    file = str(place / "label.csv")
    rest = {"evaluate": ["--data", file], "explain": ["a film"], "export": [str(tmp_path / "out")],
            "finetune": ["--train-file", file, "--test-file", file]}  # fmt: skip
    ends_with_one_line([command, name, *rest[command]], capsys)
    assert not (tmp_path / "out").exists()


READABLE = {"huge_field.csv", "nul.csv"}  # may be read
WITHOUT_LABELS = {"label.csv", "large_label.jsonl", "nan.jsonl", "words.txt"}  # has texts to predict


@pytest.mark.parametrize("name", [*sorted(FILES.keys() - READABLE), "nowhere.csv", "empty_folder"])
@pytest.mark.parametrize("command", ["evaluate sound", "evaluate classifier", "train", "predict sound"])
def test_a_file_that_cannot_be_used(command, name, place, capsys, tmp_path):
    verb, *models = command.split()
    if (command.startswith("predict") and name in WITHOUT_LABELS) or (verb, name) == ("evaluate", "words.txt"):
        pytest.skip("has texts, which need no labels here")
    file, output = str(place / name), tmp_path / "new" / "out.csv"
    rest = {
        "evaluate": ["--data", file, "--device", "cpu"],
        "predict": ["--data", file, "--output", str(output)],
        "train": ["--corpus", "files", "--train-file", file, "--test-file", file, "--run-dir", str(tmp_path / "run"),
                  "--epochs", "1", "--quiet", "--device", "cpu"],
    }[verb]  # fmt: skip
    ends_with_one_line([verb, *(str(place / model) for model in models), *rest], capsys)
    assert not output.parent.exists()


@pytest.mark.parametrize("setting", SETTINGS, ids=" ".join)
@pytest.mark.parametrize("command", ["train", "compare"])
def test_a_setting_that_there_is_not(command, setting, capsys, tmp_path):
    if command == "compare" and setting[0] in ("--model", "--method", "--seed"):
        setting = [setting[0] + "s", setting[1]]
    where = ["--run-dir", str(tmp_path / "run")] if command == "train" else ["--runs", str(tmp_path / "runs")]
    ends_with_one_line([command, "--limit", "20", "--epochs", "1", "--quiet", *where, *setting], capsys)


def test_a_place_that_cannot_be_written(place, capsys):
    ends_with_one_line(["export", str(place / "sound"), str(place / "words.txt")], capsys)
    ends_with_one_line(["export", str(place / "classifier"), str(place / "sound"), "--to", "transformers"], capsys)
    ends_with_one_line(["export", str(place / "sound"), str(place / "words.txt" / "below")], capsys)


def test_a_classifier_without_a_corpus_asks_for_texts(place, capsys):
    ends_with_one_line(["evaluate", str(place / "classifier")], capsys)


@pytest.mark.parametrize("rest", [
    [], ["nowhere"], ["empty_folder"], ["words.txt"], ["sound"], ["sound", "--only", "magic"],
], ids=" ".join)  # fmt: skip
def test_runs_that_cannot_be_measured(rest, place, capsys):
    ends_with_one_line(["measure", *(str(place / x) if (place / x).exists() else x for x in rest)], capsys)


@pytest.mark.parametrize("rest", [
    ["--seeds", "0", "0"], ["--seeds", "x"], ["--seeds"], ["--models", "textcnn", "textcnn"], ["--methods", "magic"],
    ["--methods", "pct", "magic"], ["--json", "/no/folder/x.json"], ["--json", "."],
], ids=" ".join)  # fmt: skip
def test_a_comparison_that_makes_no_sense_trains_nothing(rest, capsys, tmp_path):
    ends_with_one_line(["compare", "--limit", "20", "--runs", str(tmp_path / "runs"), *rest], capsys)
    assert not (tmp_path / "runs").exists()


def test_where_a_result_cannot_be_written_is_told_before_the_work(place, capsys, monkeypatch):
    def worked(*given, **more):
        raise AssertionError("worked first")

    monkeypatch.setattr("pct.training.finetune.finetune", worked)
    monkeypatch.setattr("pct.metrics.evaluation.evaluate", worked)
    model = str(place / "sound")
    for rest in (["--output", str(place / "words.txt")], ["--output", str(place)], ["--output", "."],
                 ["--json", "/no/folder/x.json"], ["--json", str(place)]):  # fmt: skip
        ends_with_one_line(["finetune", model, "--corpus", "planted", "--limit", "20", *rest], capsys)
    for name in ("/no/folder/x.parquet", str(place)):
        ends_with_one_line(["evaluate", model, "--corpus", "planted", "--per-text", name], capsys)
    assert (place / "words.txt").read_bytes() == FILES["words.txt"]


def test_vectors_that_are_none(capsys, tmp_path):
    for number, content in enumerate([
        b"", b"\xff\xfe\x00", b"word\n", b"the one two three\n", b"the 1 2 3\nfilm 1 2\n", b"the 1 2 nan\n",
        b"zebra 1 2 3\n", b"2 3\n",
    ]):  # fmt: skip
        path = tmp_path / f"vectors{number}.txt"
        path.write_bytes(content)
        rest = ["--run-dir", str(tmp_path / "run"), "--limit", "20", "--epochs", "1", "--quiet"]
        ends_with_one_line(["train", "--glove", str(path), *rest], capsys)


OPTIONS = {
    "evaluate": [
        ["--p-important", "0.0"], ["--p-important", "7"], ["--p-unimportant", "-1"], ["--order", "random"],
        ["--limit", "-3"], ["--corpus", "ag_news"], ["--device", "toaster"], ["--split", "dev"],
        ["--per-text", "/no/such/folder/x.parquet"], ["--per-text", "values.csv"],
        ["--data", __file__, "--corpus", "planted"],
    ],
    "explain": [
        [""], [" "], ["a film", "--target", "joyful"], ["a film", "--max-steps", "-1"], ["a film", "--order", "random"],
        ["a film", "--device", "toaster"],
    ],
    "predict": [
        [], [""], [" "], ["a", "--data", "x.csv"], ["--data", "x.csv"], ["--output", "x.csv"],
        ["a", "--device", "toaster"], ["--data", "x.csv", "--output", "out.xyz"],
        ["--data", "x.csv", "--output", "x.csv"],
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "rest"), [(verb, rest) for verb, lists in OPTIONS.items() for rest in lists], ids=str
)
def test_options_that_make_no_sense(command, rest, place, capsys):
    limit = ["--limit", "8"] if command == "evaluate" else []
    ends_with_one_line([command, str(place / "sound"), *limit, *rest], capsys)
