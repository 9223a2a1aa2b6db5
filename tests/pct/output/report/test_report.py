"""The report: groups over seeds, claims by paired bootstrap, tables in four forms, one page."""

import csv
import io
import json
import re
from dataclasses import fields, replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pct.metrics.bootstrap import crossed_bootstrap, paired_bootstrap
from pct.metrics.names import CORE_METRICS
from pct.metrics.report import Report
from pct.output.report.ablations import ablation_claims, ablation_figure, ablation_rows, ablation_table
from pct.output.report.best import best_groups, best_table
from pct.output.report.claims import CLAIMS, claims_table, conditions_table, decide, find_effects, methods_table
from pct.output.report.figures import effects_figure
from pct.output.report.groups import by_model, group_runs, matching_baseline, settings_beside
from pct.output.report.page import report_page, write_report
from pct.output.report.tables import ReportTable, format_number, main_table, metric_rows
from pct.settings import Settings
from pct.training.runs import Run

TEXTS = 400
HEALTHY = {"comp": 0.05, "ur": 2.0, "i_var": 1.0}  # what pct adds to normal training, in this made-up world
STEPS = {"normal": 0.1, "entropy": 0.2, "pct": 0.35}  # seconds, in the first epoch of seed 0
ABOUT = {
    "corpus": {"name": "mr", "source": "here", "sizes": {"test": TEXTS}}, "device": "cpu", "platform": "a machine",
    "versions": {"torch": "2"},
}  # fmt: skip


def run(method: str, seed: int, gain: float = 1.0, **settings: Any) -> Run:
    """A run that was never trained: its columns are noise about known means, the same noise under a seed."""
    rng = np.random.default_rng(seed)
    base = {"acc": 0.8, "f_x": 0.9, "comp": 0.1, "suff": 0.0, "ir": 10.0, "ur": 15.0, "i_var": 9.0, "u_var": 4.0}
    columns = {name: base[name] + 0.1 * rng.normal(size=TEXTS) for name in CORE_METRICS}
    own = np.random.default_rng(100 + seed).normal(size=TEXTS) * 0.01
    if method == "pct":
        columns |= {name: columns[name] + gain * by + own for name, by in HEALTHY.items()}
    means = {name: float(column.mean()) for name, column in columns.items()}
    report = Report(means, {}, {"n": np.full(TEXTS, 20), **columns}, ["bad", "good"])
    chosen = Settings(corpus="mr", method=method, seed=seed, **settings)
    folder = Path("nowhere") / f"{method}-{seed}-{chosen.alpha}-{chosen.batch_size}"
    history = [{"step_seconds": STEPS.get(method, 0.1) + 0.01 * (seed + epoch)} for epoch in range(2)]
    return Run(folder, chosen, report, report, history, ABOUT)


RUNS = [run(method, seed) for method in ("normal", "entropy", "pct") for seed in (0, 1, 2)]


def twin_interval(differences: np.ndarray, draws: int, seed: int) -> tuple[float, float]:
    """Seeds and texts drawn one by one, in float64."""
    rng = np.random.default_rng(seed)
    seeds, texts = differences.shape
    means = []
    for _ in range(draws):
        rows = [int(rng.integers(seeds)) for _ in range(seeds)]
        columns = [int(rng.integers(texts)) for _ in range(texts)]
        means.append(sum(float(differences[r, c]) for r in rows for c in columns) / (seeds * texts))
    means.sort()
    return means[int(0.025 * draws)], means[int(0.975 * draws)]


def test_the_bootstrap_over_seeds_and_texts_is_that_of_drawing_both_one_by_one() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0.3, 1.0, (3, 25)) + rng.normal(0, 0.4, (3, 1))
    actual = crossed_bootstrap(values, draws=4000)
    low, high = twin_interval(values, 1500, 5)
    assert actual.value == pytest.approx(values.mean())
    assert (actual.low, actual.high) == pytest.approx((low, high), abs=0.08)
    texts_alone = paired_bootstrap(np.zeros(25), values.mean(0))
    assert actual.high - actual.low > texts_alone.high - texts_alone.low  # the seeds add to it


def test_one_seed_is_the_bootstrap_over_texts_and_texts_without_a_value_count_for_nothing() -> None:
    values = np.random.default_rng(0).normal(0.2, 1.0, 200)
    one, plain = crossed_bootstrap(values[None]), paired_bootstrap(np.zeros(200), values)
    assert one == pytest.approx(plain, abs=0.02)
    holes = np.concatenate([values, [np.nan] * 50])[None]
    assert crossed_bootstrap(holes) == pytest.approx(one, abs=0.02)
    assert np.isnan(crossed_bootstrap(np.full((2, 4), np.nan)).value)
    with pytest.raises(ValueError, match=r"must be \(seeds, texts\)"):
        crossed_bootstrap(values)


def test_a_claim_is_held_not_held_or_undecided_by_where_its_whole_interval_lies() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (3, 300))
    noise -= noise.mean()

    def kind(mean: float, *bounds: float) -> str:
        return decide(dict(enumerate(noise + mean)), *bounds).kind

    assert (kind(0.1), kind(-0.1), kind(0.0), kind(0.1, 0.2)) == ("held", "not held", "undecided", "not held")
    assert [kind(mean, -0.1, 0.1) for mean in (0, 0.3, -0.3, 0.1)] == ["held", "not held", "not held", "undecided"]
    assert decide({}).kind == decide({0: np.full(3, np.nan)}).kind == "not run"


def test_the_claims_of_a_made_up_world_come_out_as_it_was_made() -> None:
    table = claims_table(group_runs(RUNS))
    actual = {row[2]: row[3].split(":")[0] for row in table.rows}
    assert actual["pct's accuracy is within a point of normal training's"] == "held"
    for gap in ("comp − suff", "ur − ir", "i_var − u_var"):
        assert actual[f"pct widens {gap} against normal"] == "held"
        assert actual[f"pct widens {gap} more than entropy"] == "held"
    assert actual["pct lowers u_var against normal"] == "undecided"  # equal, draw by draw
    assert actual["pct's confidence F(X) is above .83"] == "held"
    assert actual["beyond the paper: pct widens comp over a random order"] == "not run"
    assert len(table.rows) == len(CLAIMS)
    worse = claims_table(group_runs([run("normal", 0), run("pct", 0, gain=-1.0)]))
    assert [row[3].split(":")[0] for row in worse.rows if "comp − suff against" in row[2]] == ["not held"]


def test_a_setting_of_a_method_leaves_its_baseline_the_same() -> None:
    normal = Settings(method="normal", model="lstm")
    changed = {f.name: f.default for f in fields(Settings) if f.metadata["of_method"]}
    changed |= {"method": "vmask", "mask_weight": 0.5, "alpha": 0.7, "margin_bound": 3.0, "p_important": 0.2}
    changed |= {"measure_important": 0.1}
    assert settings_beside(normal.replace(**changed)) == settings_beside(normal)
    assert settings_beside(normal.replace(lr=1e-2)) != settings_beside(normal)


def test_differences_pair_the_seeds_that_both_have() -> None:
    normal, pct = (group_runs([run(m, s) for s in seeds])[0] for m, seeds in (("normal", (0, 1)), ("pct", (1, 2))))
    less = pct.less(normal, "comp")
    own = np.random.default_rng(101).normal(size=TEXTS) * 0.01
    assert list(less) == [1]
    assert less[1] == pytest.approx(0.05 + own)


def test_runs_that_differ_in_a_setting_are_groups_of_their_own_and_say_in_which() -> None:
    groups = group_runs([*RUNS, run("pct", 0, alpha=0.3)])
    assert sorted(group.label for group in groups) == ["entropy", "normal", "pct", "pct (alpha 0.3)"]
    means, deviations = zip(*(g.spread("comp-suff") for g in groups), strict=True)
    by_hand = [np.mean(r.test.columns["comp"] - r.test.columns["suff"]) for r in RUNS if r.settings.method == "normal"]
    place = [g.settings.method for g in groups].index("normal")
    assert (means[place], deviations[place]) == pytest.approx((np.mean(by_hand), np.std(by_hand, ddof=1)))
    assert np.isnan(groups[-1].spread("comp-suff")[1])  # one seed has no deviation


def test_rows_as_json_have_means_and_deviations_over_seeds_and_null_where_there_is_none():
    row, alone = metric_rows(group_runs([*(r for r in RUNS if r.settings.method == "normal"), run("pct", 0)]))
    accuracies = [r.test.metrics["acc"] for r in RUNS if r.settings.method == "normal"]
    assert row["metrics"]["acc"] == {"mean": np.mean(accuracies), "deviation": np.std(accuracies, ddof=1)}
    assert (row["corpus"], row["model"], row["method"], row["runs"]) == ("mr", "textcnn", "normal", 3)
    assert alone["metrics"]["comp-suff"]["deviation"] is None
    assert json.loads(json.dumps([row, alone])) == [row, alone]


def test_the_paper_s_numbers_stand_beneath_its_own_cells_alone() -> None:
    table = main_table(group_runs([*RUNS, run("masked", 0)]))
    methods = [row[2] for row in table.rows]
    assert methods == [
        "entropy", "entropy, the paper", "masked", "normal", "normal, the paper", "pct", "pct, the paper",
    ]  # fmt: skip
    paper = table.rows[methods.index("pct, the paper")]
    assert paper[4:6] == ("0.797", "0.920")
    assert paper[-3] == "0.040"  # .12 - .08
    assert table.marked == {1, 4, 6}


def test_an_ablation_has_its_cells_beside_the_paper_s_and_its_claim() -> None:
    runs = [run("pct", s, gain=1 + a, alpha=a) for a in (0.05, 0.1, 1.2) for s in (0, 1)]
    groups = group_runs(runs)
    rows = ablation_rows(groups, "alpha")["mr", "textcnn"]
    assert [row.cell.label for row in rows] == ["0.05", "0.1", "1.2"]
    table = ablation_table(groups, find_effects(groups), "alpha")
    assert table is not None
    labels = [f"{label}{whose}" for label in ("0.05", "0.1", "1.2") for whose in ("", ", the paper")]
    assert [row[2] for row in table.rows] == labels
    assert {row[-1] for row in table.rows} == {""}  # no normal training to set them beside
    assert ablation_table(groups, find_effects(groups), "tau") is None  # one cell, and no table
    claims = ablation_claims(groups)
    assert claims is not None
    assert [row[2] for row in claims.rows] == ["a large alpha (1.2) costs accuracy against 0.1"]
    assert ablation_claims(group_runs(RUNS)) is None


def test_an_ablation_takes_no_run_that_differs_in_more_and_keeps_models_and_learning_rates_apart() -> None:
    alphas = [run("pct", 0, alpha=a) for a in (0.05, 0.1, 0.5)]
    others = [
        run("pct", 0, alpha=1.2, lr=1e-3), run("pct", 0, alpha=1.2, contrast_steps="last"),
        run("pct", 0, alpha=1.0, epochs=2), *(run("pct", 0, alpha=a, model="lstm") for a in (0.1, 0.3)),
    ]  # fmt: skip
    groups = group_runs([*others, *alphas])
    actual = ablation_rows(groups, "alpha")
    assert {place: [row.cell.label for row in rows] for place, rows in actual.items()} == {
        ("mr", "textcnn"): ["0.05", "0.1", "0.5"], ("mr", "lstm"): ["0.1", "0.3"],
    }  # fmt: skip
    table = ablation_table(groups, find_effects(groups), "alpha")
    assert table is not None
    assert {row[:2] for row in table.rows} == {("mr", "textcnn")}  # two cells of the other are no table


def test_a_batch_size_stands_beside_normal_training_of_its_own() -> None:
    gains = {4: 1.0, 64: 1.0, 128: 3.0}
    runs = [run("pct", s, gain=gain, batch_size=n) for n, gain in gains.items() for s in (0, 1)]
    normal = [run("normal", s, batch_size=n) for n in (4, 128) for s in (0, 1, 2)]
    groups = group_runs(runs + normal)
    table = ablation_table(groups, find_effects(groups), "batch_size")
    assert table is not None
    less = [row[-1].split(" ")[0] for row in table.rows if "paper" not in row[2]]
    assert less == ["0.050", "", "0.150"]
    claims = ablation_claims(groups)
    assert claims is not None
    assert [(row[2][:10], row[3].split(" ")[:2]) for row in claims.rows] == [
        ("a batch of", ["held:", "0.100"]), ("beyond the", ["held:", "0.100"]),
    ]  # fmt: skip
    assert {type(ablation_figure(groups, name)).__name__ for name in ("batch_size", "tau")} == {"Figure", "NoneType"}


def test_the_shares_a_method_trains_with_do_not_keep_it_from_normal_training() -> None:
    shares = {"p_important": 0.3, "p_unimportant": 0.3}
    measured = shares | {"measure_important": 0.1, "measure_unimportant": 0.1}
    groups = group_runs([run("normal", 0), run("pct", 0, **measured), run("pct", 0, **shares)])
    actual = {g.settings.measured_shares: matching_baseline(g, groups) for g in groups if g.settings.method == "pct"}
    assert actual == {(0.1, 0.1): next(g for g in groups if g.settings.method == "normal"), (0.3, 0.3): None}
    alike = group_runs([run("pct", 0), run("pct", 0, **measured)])
    assert sorted(group.label for group in alike) == [
        "pct",
        "pct (p_important 0.3, p_unimportant 0.3)",
    ]  # measured with one share


def test_a_table_reads_the_same_as_csv_markdown_html_and_latex() -> None:
    table = ReportTable("t", "Title & more", ("a", "b"), (("x < y", "held: 0.1"), ("50 %", "–")), "a note")
    assert list(csv.reader(io.StringIO(table.csv()))) == [["a", "b"], ["x < y", "held: 0.1"], ["50 %", "–"]]
    assert "| x < y | held: 0.1 |" in table.markdown()
    assert '<td>x &lt; y<td class="held">held: 0.1' in report_page("", "", [table], {}, "")
    assert r"50 \% & – \\" in table.latex()
    assert format_number(-0.0304) == "−0.030"
    assert format_number(-0.0004) == format_number(0.0) == "0.000"
    assert (format_number(9.876), format_number(12.34)) == ("9.88", "12.3")


def test_the_page_needs_no_other_file_and_tables_and_figures_lie_beside_it(tmp_path: Path) -> None:
    path = write_report(RUNS, tmp_path / "out", "made by <hand>")
    page = path.read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "made by &lt;hand&gt;" in page
    assert page.count("<table>") == 3
    files = {f.name for f in path.parent.iterdir()}
    text = (path.parent / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert set(re.findall(r"!\[.*?\]\((.*?)\)", text)) <= files
    assert re.findall(r"^## (.*)", text, re.M) == re.findall(r"<h2>(.*?)</h2>", unescape(page))
    assert {"report.html", "claims.csv", "claims.tex", "report.md", "gaps.png", "gaps.svg"} <= files
    assert {"frontier-comp-suff.png", "frontier-time.png", "effects.png"} <= files
    assert not any(name.endswith(".part") or name.startswith("frontier-margin") for name in files)


def test_a_report_replaces_one_that_is_there_whole_and_nothing_else(tmp_path: Path) -> None:
    write_report([run("pct", 0, alpha=a) for a in (0.05, 0.1, 1.2)], tmp_path / "out", figures=False)
    assert (tmp_path / "out" / "alpha.csv").is_file()
    write_report(RUNS, tmp_path / "out", figures=False)
    assert not (tmp_path / "out" / "alpha.csv").exists()  # it would be read as a part of the new one
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="holds something else"):
        write_report(RUNS, tmp_path / "mine", figures=False)
    assert [f.name for f in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_each_method_at_its_best_stands_beside_normal_training_at_its_best() -> None:
    def known(one: Run, acc: float, gap: float) -> Run:
        """With other numbers on validation than on test."""
        return replace(one, validation=Report({"acc": acc, "comp": gap, "suff": 0.0}, {}, {}, ["bad", "good"]))

    plain = [known(run("normal", s), 0.800, 0.10) for s in (0, 1)]
    quick = [known(run("normal", s, lr=1e-3), 0.795, 0.15) for s in (0, 1)]  # the best: within a point, and wider
    rough = [known(run("normal", s, lr=3e-3), 0.700, 0.30) for s in (0, 1)]
    usual = [known(run("pct", s), 0.790, 0.12) for s in (0, 1)]
    wide = [known(run("pct", s, gain=2.0, alpha=0.3), 0.791, 0.20) for s in (0, 1)]
    worse = [known(run("pct", s, alpha=1.0), 0.789, 0.40) for s in (0, 1)]
    once = [known(run("pct", 0, alpha=0.5), 0.8, 0.50)]  # one seed says less
    poor = [known(run("entropy", s), 0.5, 0.60) for s in (0, 1)]
    groups = group_runs([*plain, *quick, *rough, *usual, *wide, *worse, *once, *poor])
    chosen = [
        (b.group.settings.method, b.group.settings.alpha, b.tried, b.normal.settings.lr) for b in best_groups(groups)
    ]
    assert chosen == [("normal", 0.1, 3, 1e-3), ("pct", 0.3, 3, 1e-3)]
    table = best_table(groups)
    assert table is not None
    assert [row[2] for row in table.rows] == ["normal (lr 0.001)", "pct (alpha 0.3)"]
    assert table.rows[0][7:] == ("", "", "", "", "0.000 [0.000, 0.000]")  # on test, the rough one is no wider
    assert [cell.split(" ")[0] for cell in table.rows[1][7:]] == ["0.000", "0.100", "–", "–", "0.100"]
    assert {b.widest.settings.lr for b in best_groups(groups)} == {3e-3}
    assert best_table(group_runs(RUNS)) is None  # one setting each: nothing was chosen


def test_kinds_of_files_can_be_left_out(tmp_path: Path) -> None:
    assert write_report(RUNS, tmp_path / "out", leave_out=["html", "svg", "tex"]).name == "report.md"
    assert {f.suffix for f in (tmp_path / "out").iterdir()} == {".md", ".png", ".csv"}


def test_the_page_says_of_every_part_of_a_corpus_how_large_it_was(tmp_path: Path) -> None:
    some = replace(run("masked", 0), about={**ABOUT, "corpus": {**ABOUT["corpus"], "sizes": {"test": 9}}})
    write_report([*RUNS, some], tmp_path / "out", figures=False)
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert f"10 runs. mr: test {TEXTS} texts (here). mr: test 9 texts (here)." in text


def test_groups_stand_in_the_order_of_their_settings() -> None:
    runs = [
        run("pct", 0, **s)
        for s in ({"alpha": 0.5}, {"temperature": 1.0}, {"alpha": 0.5, "lr": 1e-3}, {"alpha": 0.05}, {})
    ]
    assert [group.label for group in group_runs(runs)] == [
        "pct", "pct (alpha 0.05)", "pct (alpha 0.5)", "pct (temperature 1.0)", "pct (lr 0.001, alpha 0.5)",
    ]  # fmt: skip


def test_each_method_stands_beside_normal_training() -> None:
    groups = group_runs(RUNS)
    rows = methods_table(find_effects(groups)).rows
    assert [row[2] for row in rows] == ["entropy", "pct"]
    assert [row[-1] for row in rows] == ["2.00", "3.50"]  # of the quickest epochs
    assert rows[1][5].endswith("*")
    assert rows[0][-2] == "–"


def test_what_a_method_changes_stands_under_each_way_of_measuring_that_was_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups = group_runs(RUNS)
    assert conditions_table(find_effects(groups)) is None  # one way alone says nothing new
    by_folder = {r.folder: r for r in RUNS}

    def masked(folder: Path, name: str) -> Report | None:
        own = by_folder[folder]
        if name != "mask" or own.settings.method == "entropy":
            return None
        return run(own.settings.method, own.settings.seed, gain=-2.0).test

    monkeypatch.setattr("pct.output.report.groups._measured", masked)
    table = conditions_table(find_effects(groups))
    assert table is not None
    assert table.columns[3:] == ("delete, static, l2", "mask")
    assert [(row[2], row[3][:5], row[4][:6]) for row in table.rows] == [("pct", "0.050", "−0.100")]
    assert all(cell.endswith("*") for cell in table.rows[0][3:])


def test_a_method_stands_beside_normal_training_of_the_same_learning_rate() -> None:
    faster = [run(method, seed, gain, lr=1e-3) for method, gain in (("normal", 1), ("pct", 2)) for seed in (0, 1)]
    groups = group_runs([*RUNS, *faster, run("pct", 0, batch_size=16)])
    actual = {(g.settings.method, g.settings.lr, g.settings.batch_size): g for g in groups}
    usual = actual["pct", 5e-4, 64]
    assert matching_baseline(usual, groups) is actual["normal", 5e-4, 64]
    assert matching_baseline(actual["pct", 1e-3, 64], groups) is actual["normal", 1e-3, 64]
    assert matching_baseline(actual["pct", 5e-4, 16], groups) is None
    assert [row[2:4] for row in methods_table(find_effects(groups)).rows if row[2].startswith("pct")] == [
        ("pct", "3"), ("pct (lr 0.001)", "2"),
    ]  # fmt: skip
    assert by_model(groups)["mr", "textcnn"]["pct"] is usual  # the claims are about the one with the most seeds
    assert by_model(group_runs([run("pct", 0, alpha=0.3), run("pct", 0)]))["mr", "textcnn"]["pct"].settings.alpha == 0.1


def test_the_figure_of_effects_has_a_panel_for_each_metric_that_was_measured() -> None:
    groups = group_runs(RUNS)
    figure = effects_figure(find_effects(groups))
    assert [ax.get_title() for ax in figure.axes] == ["acc", "comp − suff", "ur − ir", "i_var − u_var"]
    dots = {float(line.get_xdata()[0]) for line in figure.axes[1].lines if line.get_marker() == "o"}
    by_method = {g.settings.method: g for g in group_runs(RUNS)}
    expected = {name: by_method[name].change(by_method["normal"], "comp-suff").value for name in ("pct", "entropy")}
    assert sorted(dots) == pytest.approx(sorted(expected.values()))
    alone = group_runs([run("pct", 0)])
    assert effects_figure(find_effects(alone)) is None  # nothing to set it beside


def labelled(run: Run, accuracy: float) -> Run:
    """The run with true and predicted labels of two classes of 60 and 40 %, and so many right."""
    right = np.arange(TEXTS) < accuracy * TEXTS
    label = (np.random.default_rng(0).permutation(TEXTS) < 0.4 * TEXTS).astype(np.int64)
    columns = {**run.test.columns, "acc": right.astype(np.float64), "label": label}
    return replace(run, test=replace(run.test, columns=columns, metrics={**run.test.metrics, "acc": accuracy}))


@pytest.mark.parametrize(("accuracy", "judged"), [(0.9, True), (0.62, False), (0.4, False)])
def test_claims_are_judged_only_of_models_that_learned_something(accuracy, judged):
    runs = [labelled(run(method, seed), accuracy if method == "pct" else 0.9)
            for method in ("normal", "entropy", "pct") for seed in range(2)]  # fmt: skip
    groups = group_runs(runs)
    assert [g.at_chance for g in groups if g.settings.method == "pct"] == [not judged]
    table = claims_table(groups)
    assert all((row[3] == "not judged: at chance") is not judged for row in table.rows if row[3] != "not run")
    assert "judged only of models that learned something" in table.note
    (row,) = [r for r in methods_table(find_effects(groups)).rows if r[2].startswith("pct")]
    assert row[2].endswith("(at chance)") is not judged


def test_a_model_whose_labels_are_not_known_is_judged():
    assert not any(g.at_chance for g in group_runs([run("pct", 0)]))
