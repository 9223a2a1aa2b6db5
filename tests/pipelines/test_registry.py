"""The champion's rule, and the registry that follows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pct.metrics.report import Report
from pct.training.runs import Run, load_run
from pipelines.registry import CHAMPION, Candidate, check_margin, choose_champion, model_name, register, update_champion


def a(version: int, accuracy: float, gap: float, measure: str = "m", limited: bool = False) -> Candidate:
    return Candidate(version, accuracy, gap, measure, limited)


def chosen(*candidates: Candidate, margin: float = 0.01, champion: int | None = None) -> int | None:
    found = choose_champion(list(candidates), margin, champion)
    return found.version if found else None


def test_the_larger_gap_wins_within_a_point_of_accuracy() -> None:
    assert chosen(a(1, 0.90, 0.1), a(2, 0.893, 0.3)) == 2


def test_a_gap_does_not_pay_for_more_than_a_point() -> None:
    assert chosen(a(1, 0.90, 0.1), a(2, 0.88, 0.9)) == 1


def test_exactly_the_margin_is_within_it() -> None:
    assert chosen(a(1, 0.90, 0.1), a(2, 0.89, 0.3)) == 2
    assert chosen(a(1, 0.7, 0.1), a(2, 0.6, 0.3), margin=0.1) == 2


def test_the_margin_is_a_setting() -> None:
    assert chosen(a(1, 0.90, 0.1), a(2, 0.86, 0.3), margin=0.05) == 2
    assert chosen(a(1, 0.90, 0.1), a(2, 0.899, 0.3), margin=0.0) == 1


def test_equal_gaps_leave_the_champion_then_the_older() -> None:
    assert chosen(a(1, 0.9, 0.2), a(2, 0.9, 0.2), champion=2) == 2
    assert chosen(a(1, 0.9, 0.2), a(2, 0.9, 0.2)) == 1


def test_a_better_accuracy_may_unseat_a_champion_that_lacks_it() -> None:
    assert chosen(a(1, 0.85, 0.5), a(2, 0.90, 0.1), champion=1) == 2


def test_what_was_measured_otherwise_is_not_compared_with_the_champion() -> None:
    assert chosen(a(1, 0.9, 0.1), a(2, 0.9, 0.4, "other saliency"), champion=1) == 1


def test_a_quick_look_never_unseats_a_whole_run_and_a_whole_run_always_unseats_it() -> None:
    assert chosen(a(1, 0.9, 0.1), a(2, 1.0, 0.9, "part", limited=True), champion=1) == 1
    assert chosen(a(1, 1.0, 0.9, "part", limited=True), a(2, 0.8, 0.0), champion=1) == 2


def test_without_versions_there_is_no_champion() -> None:
    assert chosen() is None


candidates = st.lists(
    st.tuples(st.floats(0, 1), st.floats(-1, 1), st.sampled_from("ab"), st.booleans()), min_size=1, max_size=8
).map(lambda rows: [Candidate(i + 1, *row) for i, row in enumerate(rows)])


@given(candidates, st.floats(0, 0.2))
def test_the_choice_is_stable_and_keeps_the_rule(rows: list[Candidate], margin: float) -> None:
    first = choose_champion(rows, margin)
    assert first is not None
    assert choose_champion(rows, margin, first.version) == first
    assert choose_champion(rows[::-1], margin) == first
    rivals = [c for c in rows if (c.measure, c.limited) == (first.measure, first.limited)]
    best = max(c.accuracy for c in rivals)
    assert first.accuracy >= best - margin - 1e-8
    assert all(c.gap <= first.gap for c in rivals if c.accuracy >= best - margin)


@pytest.mark.parametrize("margin", [-0.01, 1.5, float("nan")])
def test_a_margin_outside_of_a_share_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="champion_margin"):
        check_margin(margin)


def like(run: Run, accuracy: float, gap: float, weights: str, **settings: Any) -> Run:
    """The run, with other results on validation."""
    metrics = {**run.validation.metrics, "acc": accuracy, "comp": gap, "suff": 0.0}
    return replace(
        run,
        settings=run.settings.replace(**settings),
        validation=Report(metrics, run.validation.errors, {}, run.validation.classes),
        about={**run.about, "weights": weights},
    )


@pytest.fixture
def run(finished: Path) -> Run:
    return load_run(finished)


def put(client: Any, run: Run, margin: float = 0.01) -> tuple[int, bool, str]:
    found = register(client, run, str(run.folder / "model"), None, None, margin)
    return found.version, found.champion, found.reason


def champion(client: Any, run: Run) -> int:
    return int(client.get_model_version_by_alias(model_name(run), CHAMPION).version)


def test_the_champion_moves_only_to_a_better_version(client: Any, run: Run) -> None:
    assert put(client, like(run, 0.90, 0.1, "w1")) == (1, True, "there was none to compare it with")
    version, is_champion, reason = put(client, like(run, 0.91, 0.05, "w2"))
    assert (version, is_champion) == (2, False)
    assert "0.0500 is not larger than 0.1000 of version 1" in reason
    version, is_champion, reason = put(client, like(run, 0.80, 0.9, "w3"))
    assert (version, is_champion) == (3, False)
    assert "0.8000 is more than 0.01 below the best, 0.9100" in reason
    assert champion(client, run) == 1
    assert put(client, like(run, 0.905, 0.2, "w4"))[:2] == (4, True)
    assert champion(client, run) == 4


def test_a_run_registered_twice_has_one_version(client: Any, run: Run) -> None:
    assert put(client, run)[0] == 1
    assert put(client, run) == (1, True, "it was the champion and stays it")
    assert len(client.search_model_versions(f"name = '{model_name(run)}'")) == 1


def test_equal_weights_under_other_settings_are_another_version(client: Any, run: Run) -> None:
    put(client, like(run, 0.9, 0.1, "same"))
    version, is_champion, reason = put(client, like(run, 0.9, 0.4, "same", saliency="grad_x_input"))
    assert (version, is_champion) == (2, False)
    assert "measured otherwise" in reason


def test_a_whole_run_takes_the_place_of_a_quick_look(client: Any, run: Run) -> None:
    put(client, like(run, 0.99, 0.9, "quick"))
    assert put(client, like(run, 0.8, 0.1, "whole", limit=0))[:2] == (2, True)
    version, is_champion, reason = put(client, like(run, 0.99, 0.9, "quick again"))
    assert (version, is_champion) == (3, False)
    assert "does not compete with version 2" in reason


def test_the_rule_and_what_it_needs_stand_on_the_version(client: Any, run: Run) -> None:
    put(client, like(run, 0.9, 0.25, "w"), margin=0.02)
    tags = client.get_model_version(model_name(run), "1").tags
    assert tags["validation_comp_minus_suff"] == "0.250000"
    assert tags["method"] == "pct"
    assert "within 0.02 of the best" in tags["champion_rule"]
    assert float(tags["test_acc"]) == pytest.approx(run.test.acc, abs=1e-6)


def test_versions_that_other_hands_made_are_left_alone(client: Any, run: Run) -> None:
    client.create_registered_model(model_name(run))
    client.create_model_version(model_name(run), str(run.folder / "model"))
    assert put(client, run)[:2] == (2, True)


class TwoWriters:
    """A registry in which another run's version appears after this one has read it, and moves the alias."""

    def __init__(self) -> None:
        self.versions = [self.version(1, 0.1)]
        self.alias: int | None = None

    @staticmethod
    def version(number: int, gap: float) -> Any:
        tags = {"validation_acc": "0.9", "validation_comp_minus_suff": str(gap), "measure": "m", "limited": "false"}
        return SimpleNamespace(version=str(number), tags=tags)

    def search_model_versions(self, *args: Any, **kwargs: Any) -> Any:
        class Page(list[Any]):
            token = None

        return Page(self.versions)

    def get_registered_model(self, name: str) -> Any:
        return SimpleNamespace(aliases={} if self.alias is None else {CHAMPION: str(self.alias)})

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        if len(self.versions) == 1:  # the other run registers a better version and crowns it just before this write
            self.versions.append(self.version(2, 0.5))
        self.alias = int(version)


def test_two_runs_that_end_together_leave_the_better_one_as_champion() -> None:
    registry = TwoWriters()
    is_champion, reason = update_champion(registry, "name", 1, 0.01)
    assert registry.alias == 2
    assert not is_champion
    assert "not larger than 0.5000 of version 2" in reason
