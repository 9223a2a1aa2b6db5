"""The code of the pages runs as it stands, and no page shows an include in place of what is included.

A block of a package that is not installed (`<!-- needs: NAME -->`) is run with a small one in its place.
A block that cannot be run has `<!-- not run: REASON -->` above it; before the first section it is for the whole page.
"""

import importlib.util
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pct
from pct.methods import methods
from pct.metrics import metrics
from pct.onnx.export import export
from pct.settings import Settings
from tests.narrow import narrow
from tests.pct.small import small_encoder, tokenizer
from tests.project import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")
BLOCK = re.compile(r"^(<!-- not run: .+? -->\n)?(?:<!-- needs: (\w+) -->\n)?```python\n(.*?)^```$", re.M | re.S)
SMALL = {"limit": 120, "evaluate_epochs": False, "threads": 1}


def blocks(page: Path) -> list[str]:
    """The code of a page that can be run."""
    text = page.read_text(encoding="utf-8")
    if NOT_RUN.search(text.split("\n## ")[0].split("```")[0]):
        return []
    return [code for mark, _, code in BLOCK.findall(text) if not mark]


RUN = [page for page in PAGES if blocks(page)]


@pytest.fixture(scope="module", autouse=True)
def narrow_models() -> Iterator[None]:
    with narrow():
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the pages name: a run, its graphs, a classifier of the transformers library."""
    from pct.training.runs import run

    folder = tmp_path_factory.mktemp("docs")
    run(Settings(epochs=1, evaluate_limit=16, **SMALL), folder / "runs" / "first", progress=False)
    for name in ("path/or/hub-name", "OWNER/NAME", "my-classifier"):
        small_head().save_pretrained(folder / name)
        tokenizer().save_pretrained(folder / name)
    return folder


def small_head() -> Any:
    """A classifier of the transformers library."""
    from transformers import BertForSequenceClassification

    config = small_encoder().config
    config.num_labels, config.id2label = 2, {0: "negative", 1: "positive"}
    config.label2id = {name: i for i, name in config.id2label.items()}
    return BertForSequenceClassification(config).eval()


@pytest.fixture(autouse=True)
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page registers is gone after its test: other tests of the process list what is registered."""
    for registry in (pct.saliencies, methods, metrics):
        monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))


def put_module(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> None:
    module = ModuleType(name)
    vars(module).update(contents)
    monkeypatch.setitem(sys.modules, name, module)


def small_shap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the recipe uses of shap: the change of each class's probability without a piece of the text."""

    def explainer(predict: Any, masker: Any, output_names: list[str]) -> Any:
        def explain(texts: Any) -> Any:
            pieces = [re.findall(r"\S+\s*", text) for text in texts]
            values = [
                np.array([predict([text])[0] - predict(["".join(p[:i] + p[i + 1 :]) or "."])[0] for i in range(len(p))])
                for text, p in zip(texts, pieces, strict=True)
            ]
            return SimpleNamespace(values=values, data=pieces, output_names=output_names)

        return explain

    put_module(monkeypatch, "shap", Explainer=explainer, maskers=SimpleNamespace(Text=lambda: None))


def small_captum(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the recipe uses of captum: gradient times activation at a layer."""
    import torch

    class LayerGradientXActivation:
        def __init__(self, forward: Any, layer: Any) -> None:
            self.forward, self.layer = forward, layer

        def attribute(self, ids: Any, target: Any, additional_forward_args: Any) -> Any:
            kept = []
            hook = self.layer.register_forward_hook(lambda m, i, out: kept.append(out) or out)
            score = self.forward(ids, *additional_forward_args).gather(1, target[:, None]).sum()
            hook.remove()
            (gradient,) = torch.autograd.grad(score, kept[0])
            return gradient * kept[0]

    put_module(monkeypatch, "captum")
    put_module(monkeypatch, "captum.attr", LayerGradientXActivation=LayerGradientXActivation, IntegratedGradients=None)


STAND_INS = {"shap": small_shap, "captum": small_captum}


def names_of(place: Path) -> dict[str, Any]:
    """What pages speak of without making it."""
    texts, labels = ["a fine film", "a dull film", "it is good"], ["positive", "negative", "positive"]
    rows = [{"text": f"{t} {i}", "label": labels[i % 3]} for i, t in enumerate(texts * 8)]
    return {
        "__name__": "a_package_of_yours", "pct": pct, "texts": texts, "labels": [0, 1, 0], "rows": rows,
        "held_out": rows[:6], "data": (texts, labels), "clf": pct.load(place / "runs" / "first"),
        "model": small_head(), "tokenizer": tokenizer(),
    }  # fmt: skip


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_the_code_of_a_page_runs(page, place, monkeypatch):
    monkeypatch.chdir(place)
    if page.name == "export.md":
        export(pct.load(place / "runs" / "first"), place / "exported")
    monkeypatch.setattr(pct, "Settings", partial(Settings, **SMALL))  # a page's trainings are of full size
    for module in re.findall(r"<!-- needs: (\w+) -->", page.read_text(encoding="utf-8")):
        if importlib.util.find_spec(module) is None:
            STAND_INS[module](monkeypatch)
    names = names_of(place)
    for code in blocks(page):
        exec(compile(code, str(page), "exec"), names)


def test_the_pages_that_teach_by_code_are_among_those_that_run():
    names = {page.name for page in RUN}
    assert {"README.md", "metric.md", "method.md", "any-model.md", "data.md", "explain.md", "classifier.md"} <= names


def site_hooks() -> ModuleType:
    """docs/scripts/site.py, which the site runs for each page."""
    spec = importlib.util.spec_from_file_location("site_hooks", REPOSITORY / "docs" / "scripts" / "site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "left",
    [
        '--8<-- "a.py"', '--8 < --"a.py"', "--8&lt;-- &quot;a.py&quot;",
        '<span class="o">--</span><span class="mi">8</span> <span class="o">&lt;</span> --', "<!-- from the code: x",
    ],
)  # fmt: skip
def test_a_page_that_shows_an_include_fails_the_build(left):
    hooks, page = site_hooks(), SimpleNamespace(file=SimpleNamespace(src_uri="a.md"))
    with pytest.raises(ValueError, match=r"a\.md shows .*an include that was not made"):
        hooks.on_page_content(f"<p>{left}</p>", page=page)
    assert hooks.on_page_content("<p>8 &lt; 9</p>", page=page) == "<p>8 &lt; 9</p>"


def test_no_page_holds_an_include_that_would_be_shown():
    hooks = site_hooks()
    for page in PAGES:
        text = hooks.MARK.sub("", page.read_text(encoding="utf-8"))
        assert not hooks.LEFT.search(re.sub(r"`[^`\n]+`", "", text)), page


def test_the_first_page_shows_the_script_that_runs():
    shown = site_hooks().on_page_markdown((REPOSITORY / "docs" / "getting-started.md").read_text(encoding="utf-8"))
    assert (REPOSITORY / "examples" / "quickstart.py").read_text(encoding="utf-8").strip() in shown


def test_the_options_and_functions_of_my_classifier_exist(capsys):
    from pct.cli import main

    page = (REPOSITORY / "docs" / "how-to" / "my-classifier.md").read_text(encoding="utf-8")
    commands = re.findall(r"`pct (\w+) (.+?)`", page)
    assert len(commands) > 5
    for command, rest in commands:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        shown = capsys.readouterr().out
        assert not [option for option in re.findall(r"--[\w-]+", rest) if option not in shown], (command, rest)
    for line in re.findall(r"`(pct\.\w+\(.+?\))`", page):
        compile(line, "my-classifier.md", "eval")
        assert hasattr(pct, line.split("(")[0].removeprefix("pct.")), line
