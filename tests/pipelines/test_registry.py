"""The registry: a version a run, the alias that follows the rule, and the hands that may move it."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pct.layout import CHAMPION
from pct.metrics.report import Report
from pct.settings import Settings
from pct.training.runs import Run, load_run
from pipelines import models, promote
from pipelines.champion import champion_of, no_champion, update_champion, why
from pipelines.registry import measured_tags, model_name, register
from serving.model_sources import find_version


def like(
    run: Run, accuracy: float, gap: float, weights: str, corpus: dict[str, Any] | None = None, **settings: Any
) -> Run:
    """The run, with other results on validation. corpus: what about.json says of it otherwise."""
    metrics = {**run.validation.metrics, "acc": accuracy, "comp": gap, "suff": 0.0}
    return replace(
        run,
        settings=run.settings.replace(**settings),
        validation=Report(metrics, run.validation.errors, {}, run.validation.classes),
        about={**run.about, "weights": weights, "corpus": {**run.about["corpus"], **(corpus or {})}},
    )


@pytest.fixture
def run(finished: Path) -> Run:
    return load_run(finished)


def put(client: Any, run: Run, margin: float = 0.01) -> tuple[int, bool, str]:
    found = register(client, run, str(run.folder / "model"), None, None, margin)
    return found.version, found.champion, found.reason


def champion(client: Any, run: Run) -> int:
    return int(client.get_model_version_by_alias(model_name(run.settings), CHAMPION).version)


def test_the_champion_s_reason_says_what_the_test_split_says(client, run):
    """A split that holds a shortcut may make a champion of a model that knows nothing else."""
    labels = {"splits": {"test": {"labels": {"negative": 20, "positive": 28}}}, "sizes": {"validation": 48, "test": 48}}
    corpus = {**run.about["corpus"], **labels}
    test = replace(run.test, metrics={**run.test.metrics, "acc": 0.5})
    mine = replace(like(run, 0.95, 0.2, "w1", corpus), test=test)
    _, is_champion, reason = put(client, mine)
    assert is_champion
    assert "on the test split its accuracy is 0.5000, no better than always the largest class (0.583)" in reason
    assert "differs from validation (0.9500) by more than chance" in reason
    assert "no better than" in models.table(models.describe(client, model_name(run.settings)))


def test_the_champion_moves_only_to_a_better_version(client, run):
    version, is_champion, reason = put(client, like(run, 0.90, 0.1, "w1"))
    assert (version, is_champion) == (1, True)
    assert reason.startswith("there was no version to compare it with; on the test split its accuracy is ")
    version, is_champion, reason = put(client, like(run, 0.91, 0.05, "w2"))
    assert (version, is_champion) == (2, False)
    assert "0.0500 is not larger than 0.1000 of version 1" in reason
    version, is_champion, reason = put(client, like(run, 0.80, 0.9, "w3"))
    assert (version, is_champion) == (3, False)
    assert "0.8000 is more than 0.01 below the best, 0.9100" in reason
    assert champion(client, run) == 1
    assert put(client, like(run, 0.905, 0.2, "w4"))[:2] == (4, True)
    assert champion(client, run) == 4


def test_a_run_registered_twice_has_one_version(client, run):
    assert put(client, run)[0] == 1
    assert put(client, run)[:2] == put(client, run)[:2] == (1, True)
    assert len(client.search_model_versions(f"name = '{model_name(run.settings)}'")) == 1


def test_equal_weights_under_other_settings_are_another_version(client, run):
    put(client, like(run, 0.9, 0.1, "same"))
    version, is_champion, reason = put(client, like(run, 0.9, 0.4, "same", saliency="grad_x_input"))
    assert (version, is_champion) == (2, False)
    assert "were measured differently" in reason


def test_a_whole_run_takes_the_place_of_a_quick_look(client, run):
    put(client, like(run, 0.99, 0.9, "quick"))
    assert put(client, like(run, 0.8, 0.1, "whole", limit=0))[:2] == (2, True)
    version, is_champion, reason = put(client, like(run, 0.99, 0.9, "quick again"))
    assert (version, is_champion) == (3, False)
    assert "it had a part of the corpus (limit), version 2 the whole: they are not compared" in reason


def test_the_rule_and_what_it_needs_stand_on_the_version(client, run):
    put(client, like(run, 0.9, 0.25, "w"), margin=0.02)
    tags = client.get_model_version(model_name(run.settings), "1").tags
    assert tags["validation_comp_minus_suff"] == "0.250000"
    assert tags["method"] == "pct"
    assert "within 0.02 of the best" in tags["champion_rule"]
    assert float(tags["test_acc"]) == pytest.approx(run.test.acc, abs=1e-6)


@pytest.mark.parametrize(("settings", "limit", "limited"), [
    ({}, 0, "false"), ({"limit": 9}, 0, "true"), ({"measure_limit": 9}, 0, "true"), ({}, 9, "true"),
])  # fmt: skip
def test_a_version_is_limited_if_its_training_or_its_measurement_was(run, settings, limit, limited):
    whole = run.settings.replace(limit=0, measure_limit=0)
    tags = measured_tags(whole.replace(**settings), "w", "validation", run.validation, None, 0.01, limit)
    assert tags["limited"] == limited


def test_numbers_of_another_split_have_its_name_and_choose_no_champion(run):
    tags = measured_tags(run.settings, "w", "test", run.test, None, 0.01)
    assert float(tags["test_acc"]) == pytest.approx(run.test.acc, abs=1e-6)
    assert not [name for name in tags if name.startswith(("validation", "champion", "measured", "largest"))]


def test_versions_that_other_hands_made_are_left_alone(client, run):
    client.create_registered_model(model_name(run.settings))
    client.create_model_version(model_name(run.settings), str(run.folder / "model"))
    assert put(client, run)[:2] == (2, True)


class TwoWriters:
    """A registry in which another run's version appears after this one has read it, and moves the alias."""

    def __init__(self) -> None:
        self.versions = [self.version(1, 0.1)]
        self.alias: int | None = None

    @staticmethod
    def version(number: int, gap: float) -> Any:
        tags = {"validation_acc": "0.9", "validation_comp_minus_suff": str(gap), "measure": "m", "limited": "false"}
        return SimpleNamespace(name="name", version=str(number), tags=tags)

    def search_model_versions(self, *args: Any, **kwargs: Any) -> Any:
        class Page(list[Any]):
            token = None

        return Page(self.versions)

    def get_registered_model(self, name: str) -> Any:
        return SimpleNamespace(aliases={} if self.alias is None else {CHAMPION: str(self.alias)}, tags={})

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None:
        pass

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        if len(self.versions) == 1:  # the other run registers a better version just before this write
            self.versions.append(self.version(2, 0.5))
        self.alias = int(version)


def test_two_runs_that_end_together_leave_the_better_one_as_champion():
    registry = TwoWriters()
    assert update_champion(registry, "name", 0.01) == 2
    assert registry.alias == 2
    assert "not larger than 0.5000 of version 2" in why(registry, "name", 1)


def splits(validation: str, **labels: int) -> dict[str, Any]:
    return {"validation": {"fingerprint": validation, "labels": labels or {"negative": 24, "positive": 24}}}


def test_more_training_rows_do_not_freeze_the_champion(client, run):
    put(client, like(run, 0.90, 0.1, "w1", {"fingerprint": "of 100 rows", "splits": splits("v")}))
    more = like(run, 0.91, 0.2, "w2", {"fingerprint": "of 200 rows", "splits": splits("v")})
    assert put(client, more)[:2] == (2, True)


def test_other_validation_texts_are_told_with_the_remedy_and_promoted_by_hand(client, run, capsys):
    name = model_name(run.settings)
    put(client, like(run, 0.90, 0.1, "w1", {"fingerprint": "1", "splits": splits("v1")}))
    other = like(run, 0.90, 0.3, "w2", {"fingerprint": "2", "splits": splits("v2")})
    version, is_champion, reason = put(client, other)
    assert (version, is_champion) == (2, False)
    assert f"pct promote {name} 2" in reason
    assert promote.main([name, "2"]) == 0
    assert "is @champion: it was promoted by hand" in capsys.readouterr().out
    assert champion(client, run) == 2
    assert put(client, like(run, 0.90, 0.2, "w3", {"fingerprint": "2", "splits": splits("v2")}))[:2] == (3, False)
    assert put(client, like(run, 0.90, 0.4, "w4", {"fingerprint": "2", "splits": splits("v2")}))[:2] == (4, True)


def test_a_promoted_version_holds_against_what_was_there_and_the_rule_can_be_had_back(client, run):
    name = model_name(run.settings)
    for weights, gap in (("w1", 0.1), ("w2", 0.3)):
        put(client, like(run, 0.90, gap, weights))
    assert promote.main([name, "1"]) == 0
    assert put(client, like(run, 0.90, 0.05, "w3"))[:2] == (3, False)
    assert champion(client, run) == 1
    assert "version 1 was promoted by hand after this version was registered" in why(client, name, 2)
    assert promote.main([name]) == 0
    assert champion(client, run) == 2


def test_what_is_not_finite_is_no_champion_not_even_by_hand(client, run, capsys):
    name = model_name(run.settings)
    version, is_champion, reason = put(client, like(run, float("nan"), float("nan"), "w1"))
    assert (version, is_champion) == (1, False)
    assert "not finite" in reason
    assert promote.main([name, "1", "--force"]) == 1
    assert "not finite" in capsys.readouterr().err
    client.set_registered_model_alias(name, CHAMPION, "1")
    assert put(client, like(run, float("nan"), 0.2, "w2"))[:2] == (2, False)
    assert champion_of(client, name) is None
    assert put(client, like(run, 0.6, 0.0, "w3"))[:2] == (3, True)


def test_no_better_than_the_largest_class_is_a_champion_by_hand_alone(client, run, capsys):
    name = model_name(run.settings)
    lazy = like(run, 0.95, 0.3, "w1", {"splits": splits("v", negative=95, positive=5)})
    assert put(client, lazy)[:2] == (1, False)
    assert promote.main([name, "1"]) == 1
    assert "--force" in capsys.readouterr().err
    assert promote.main([name, "1", "--anyway"]) == 0  # the former name
    assert "--anyway is now --force" in capsys.readouterr().err
    assert champion(client, run) == 1


def test_a_champion_that_is_deleted_leaves_the_next_by_the_rule(client, run):
    name = model_name(run.settings)
    for weights, gap in (("w1", 0.1), ("w2", 0.3), ("w3", 0.2)):
        put(client, like(run, 0.90, gap, weights))
    assert models.main([name, "--delete", "2"]) == 0
    assert champion(client, run) == 3
    client.delete_model_version(name, "3")  # by other hands: MLflow takes the alias along
    assert put(client, like(run, 0.90, 0.0, "w4"))[:2] == (4, False)
    assert champion(client, run) == 1


def test_the_models_are_listed_with_their_numbers_and_reasons(client, run, capsys):
    assert models.main([]) == 0
    assert "no model is registered yet" in capsys.readouterr().out
    for weights, gap in (("w1", 0.1), ("w2", 0.3)):
        put(client, like(run, 0.90, gap, weights))
    assert models.main([]) == 0
    head, columns, *rows = capsys.readouterr().out.splitlines()
    assert head == model_name(run.settings)
    assert columns.split()[:5] == ["version", "method", "seed", "acc", "comp-suff"]
    assert rows[0].split()[:6] == ["*", "2", "pct", "0", "0.9000", "0.3000"]
    assert rows[1].split()[:5] == ["1", "pct", "0", "0.9000", "0.1000"]
    assert rows[2].startswith("  2: among it and the other version measured alike, its comp - suff 0.3000 is")
    assert "0.1000 is not larger than 0.3000 of version 2" in rows[3]


@pytest.mark.parametrize("command", [(models, ["none"]), (promote, ["none", "1"]), (promote, ["none"])])
def test_a_model_that_is_not_there_is_an_error_in_a_line(command, uri, capsys):
    module, arguments = command
    assert module.main(arguments) == 1
    assert capsys.readouterr().err == "error: no model is registered as 'none'; pct models lists what is there\n"


def test_a_version_that_is_not_there_is_named(client, run, capsys):
    name = model_name(run.settings)
    put(client, like(run, 0.9, 0.1, "w1"))
    assert promote.main([name, "7"]) == 1
    assert "has no version 7 that this project registered with its accuracy on a validation split; there are: 1" in (
        capsys.readouterr().err
    )
    assert models.main([name, "--delete", "7"]) == 1
    assert "has no version 7" in capsys.readouterr().err


def test_folders_and_hub_names_that_end_alike_have_names_of_their_own(tmp_path):
    folders = [str(tmp_path / one / "model") for one in ("a", "b")]
    names = {model_name(Settings(model=m)) for m in (*folders, "one/model", "other/model", "model")}
    assert len(names) == 5
    assert all(name.startswith("pct-planted-model") for name in names)
    assert model_name(Settings(model="lstm")) == "pct-planted-lstm"
    assert model_name(Settings(model=folders[0])) == model_name(Settings(model=folders[0]))


def test_a_version_of_0_1_0_is_compared_with_new_ones_of_the_same_corpus(client, run):
    name = model_name(run.settings)
    put(client, like(run, 0.90, 0.1, "w1"))
    for later in ("measured_on", "largest_class", "validation_comp_minus_suff_se"):
        client.delete_model_version_tag(name, "1", later)
    assert put(client, like(run, 0.90, 0.2, "w2"))[:2] == (2, True)
    assert put(client, like(run, 0.90, 0.15, "w3", {"fingerprint": "another"}))[:2] == (3, False)


def test_a_champion_that_is_deleted_in_mlflow_is_told_and_followed_by_the_next_best(client, run, capsys):
    name = model_name(run.settings)
    put(client, like(run, 0.90, 0.1, "w1"))
    put(client, like(run, 0.90, 0.3, "w2"))
    assert put(client, like(run, 0.90, 0.2, "w3"))[:2] == (3, False)
    client.delete_model_version(name, "2")  # as MLflow's page does it
    assert champion_of(client, name) is None

    message = f"version 2, which was the champion, was deleted: pct promote {name} lets the rule choose"
    assert models.main([name]) == 0
    assert message in capsys.readouterr().out.splitlines()[0]
    assert models.main([name, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["champion"] is None
    assert message in found["no_champion"]
    assert all(message in version["why"] for version in found["versions"])
    with pytest.raises(FileNotFoundError, match=f"models:/{name}@champion is not in the registry: {message}"):
        find_version(client, name, CHAMPION, None)
    assert champion_of(client, name) is None  # who lists changes nothing

    version, is_champion, reason = put(client, like(run, 0.90, 0.05, "w4"))
    assert (version, is_champion, champion(client, run)) == (4, False, 3)
    assert reason.endswith(". version 2, which was the champion, was deleted; version 3 is the champion now")
    assert "deleted" not in put(client, like(run, 0.90, 0.04, "w5"))[2]


def test_the_rule_chooses_again_by_promote_and_says_what_was_lost(client, run, capsys):
    name = model_name(run.settings)
    put(client, like(run, 0.90, 0.1, "w1"))
    put(client, like(run, 0.90, 0.3, "w2"))
    client.delete_registered_model_alias(name, CHAMPION)
    assert promote.main([name]) == 0
    message = f"version 2, which was the champion, has lost the alias. models:/{name}/2 is @champion: "
    assert capsys.readouterr().out.startswith(message)
    client.delete_model_version(name, "2")
    client.delete_model_version(name, "1")
    assert promote.main([name]) == 1
    assert "pct models lists what is there" in capsys.readouterr().err


def test_a_model_that_never_had_a_champion_has_lost_none(client, run):
    name = model_name(run.settings)
    put(client, like(run, 0.5, 0.1, "w1", {"splits": splits("a")}))
    assert champion_of(client, name) is None
    assert no_champion(client, name).startswith("no version is the champion: pct promote")
