"""pct audit: what it prints and writes, the gate's exit status, and one line for whatever is wrong."""

import csv
import json

import pytest

import pct
from pct.auditing.kept import FILE
from pct.auditing.measure import remove_parts
from pct.auditing.result import Audit
from pct.cli import main
from pct.commands import audit as command
from tests.one_line import ends_with_one_line
from tests.pct.models.families import classifier, tokenizer
from tests.pct.small import small_classifier, small_texts

ROWS = 20


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `own`, a TextCNN, `bert`, a classifier that transformers wrote, and data.csv."""
    root = tmp_path_factory.mktemp("audited")
    small_classifier("textcnn", classes=2).save(root / "own")
    bert = classifier("BERT", classes=2)
    bert.config.id2label, bert.config.label2id = {0: "negative", 1: "positive"}, {"negative": 0, "positive": 1}
    bert.save_pretrained(root / "bert")
    tokenizer("BERT").save_pretrained(root / "bert")
    with (root / "data.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [(text, ("negative", "positive")[i % 2]) for i, text in enumerate(small_texts(ROWS, longest=8))]
        csv.writer(file).writerows([("text", "label"), *rows])
    return root


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def files(folder):
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.parametrize("name", ["own", "bert"])
def test_a_folder_is_audited_in_one_command_into_every_format(place, tmp_path, capsys, name):
    outputs = [str(tmp_path / f"a{ending}") for ending in (".html", ".md", ".json")]
    arguments = ["audit", str(place / name), "--data", str(place / "data.csv"), "--budget", "cheap", "--device", "cpu"]
    assert main([*arguments, "--quiet", "--output", *outputs]) == 0
    printed = capsys.readouterr().out
    assert f"on {ROWS} texts, accuracy" in printed
    assert "words deleted" in printed
    assert files(tmp_path) == ["a.html", "a.json", "a.md"]  # the blocks are gone
    result = Audit.load(tmp_path / "a.json")
    assert result.about["source"] == str(place / "data.csv")
    assert result.about["model"] == str(place / name)
    asked = "frozen_grad_x_input" in {row.saliency for row in result.rows}
    assert asked == (name == "bert")
    assert "frozen_grad_x_input" in result.refused or asked
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert all(row.saliency in page for row in result.rows)


def test_json_on_the_output_is_the_audit(place, capsys):
    arguments = ["audit", str(place / "own"), "--data", str(place / "data.csv"), "--saliencies", "l2", "--quiet"]
    assert main([*arguments, "--limit", "8", "--json"]) == 0
    result = Audit.from_dict(json.loads(capsys.readouterr().out))
    assert (result.texts, {row.saliency for row in result.rows}) == (8, {"l2", "random"})
    assert result.about["data"]["left_out_by_limit"] == ROWS - 8


def test_the_gate_has_a_status_of_its_own_and_names_what_failed(place, tmp_path, capsys):
    base = ["audit", str(place / "own"), "--data", str(place / "data.csv"), "--budget", "cheap", "--quiet"]
    assert main([*base, "--require", "acc>=0"]) == 0
    assert main([*base, "--require", "margin<2"]) == 3  # no saliency beats chance there: nothing is met
    capsys.readouterr()
    out = tmp_path / "a.json"
    assert main([*base, "--require", "margin>2", "--require", "win>1", "--output", str(out)]) == command.UNMET == 3
    written, *lines = capsys.readouterr().err.strip().splitlines()
    assert written == f"written to {out}"
    assert [line.split(" is not met")[0] for line in lines] == ["requirement: margin>2", "requirement: win>1"]
    assert out.is_file()  # what failed can be read


def test_an_audit_that_is_kept_decides_how_the_model_is_explained(place, tmp_path, capsys):
    model = tmp_path / "model"
    small_classifier("textcnn", classes=2).save(model)
    data = str(place / "data.csv")
    assert main(["audit", str(model), "--data", data, "--budget", "cheap", "--quiet", "--keep"]) == 0
    assert pct.load(model, "cpu").audit.texts == ROWS
    kept = Audit.load(model / FILE).to_dict()
    (model / FILE).write_text(json.dumps(kept | {"judgement": kept["judgement"] | {"best": "l1"}}), encoding="utf-8")
    explanation = pct.explain(pct.load(model, "cpu"), ["film joy"])[0]
    assert explanation.saliency_name == "l1"
    assert "audit of this model" in explanation.saliency_reason


def test_a_stopped_audit_with_an_output_goes_on(place, tmp_path, capsys, monkeypatch):
    """The blocks that were finished are taken from the folder beside the output, and go when it is written."""
    parts = tmp_path / "a.json.parts"
    arguments = ["audit", str(place / "own"), "--data", str(place / "data.csv"), "--budget", "cheap", "--quiet"]
    monkeypatch.setattr(Audit, "save", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
    assert main([*arguments, "--output", str(tmp_path / "a.json")]) == 1
    assert [name[:6] + name[22:] for name in files(parts)] == ["block--00000.npz"]
    monkeypatch.undo()
    monkeypatch.setattr("pct.auditing.measure._measure_block", lambda *_: pytest.fail("it was measured again"))
    assert main([*arguments, "--output", str(tmp_path / "a.json")]) == 0
    assert not parts.exists()


def test_what_else_lies_in_the_folder_of_the_blocks_stays(tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "block-0123456789abcdef-00000.npz").write_bytes(b"")
    (tmp_path / "block-fedcba9876543210-00000.npz").write_bytes(b"of another audit")
    remove_parts(tmp_path, "0123456789abcdef")
    assert files(tmp_path) == ["block-fedcba9876543210-00000.npz", "notes.txt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--saliencies", "l3"], "l3"), (["--saliencies", "gim"], "gim"), (["--limit", "-1"], "limit"),
        (["--limit", "x"], "--limit"), (["--seed", "-1"], "seed"), (["--budget", "free"], "--budget"),
        (["--removals", "burn"], "burn"), (["--removals"], "--removals"),
        (["--require", "margin"], "margin>0.02"), (["--require", "margn>0.02"], "margn is not measured"),
        (["--budget", "cheap", "--require", "ir<3"], "ir is not measured"), (["--output", "a.pdf"], "a.pdf"),
        (["--output", "none/a.html"], "none"), (["--corpus", "nowhere"], "nowhere"),
        (["--label-column", "mood"], "mood"), (["--device", "toaster"], "toaster"),
    ],
)  # fmt: skip
def test_a_wrong_option_ends_with_one_line_and_leaves_nothing(place, tmp_path, capsys, options, message):
    data = [] if "--corpus" in options else ["--data", str(place / "data.csv")]
    output = [] if "--output" in options else ["--output", str(tmp_path / "a.html")]
    line = ends_with_one_line(["audit", str(place / "own"), *data, *output, "--quiet", *options], capsys)
    assert message in line
    assert files(tmp_path) == []


def test_a_requirement_of_accuracy_needs_labels(place, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("a fine film\n" * 30, encoding="utf-8")
    asked = ["--data", str(tmp_path / "texts.txt"), "--require", "acc>0.5", "--output", str(tmp_path / "a.html")]
    assert "acc is not measured" in ends_with_one_line(["audit", str(place / "own"), *asked, "--quiet"], capsys)
    assert files(tmp_path) == ["texts.txt"]


@pytest.mark.parametrize("content", ["", "text,label\n", "text,label\na film,joyful\n", "id,words\n1,a\n"])
def test_a_file_that_cannot_be_measured_ends_with_one_line_and_leaves_nothing(place, tmp_path, capsys, content):
    data = tmp_path / "wrong.csv"
    data.write_text(content, encoding="utf-8")
    arguments = ["audit", str(place / "own"), "--data", str(data), "--output", str(tmp_path / "a.html"), "--quiet"]
    ends_with_one_line(arguments, capsys)
    assert files(tmp_path) == ["wrong.csv"]


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("nowhere", [], "nowhere"),
        ("own", ["--data", "/no/such.csv"], "no/such.csv"),
        ("a/hub-name", ["--keep"], "--keep"),
        ("nowhere", ["--removals", "burn"], "burn"),  # what needs no model is checked first
        ("nowhere", ["--saliencies", "l3"], "l3"),
    ],
)
def test_a_model_or_file_that_is_not_there_ends_with_one_line(place, capsys, model, options, message):
    name = str(place / model) if model == "own" else model
    data = [] if "--data" in options else ["--data", str(place / "data.csv")]
    assert message in ends_with_one_line(["audit", name, *data, *options], capsys)
