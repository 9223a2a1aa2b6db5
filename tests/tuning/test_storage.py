"""The copy of a sweep's record in its storage: the loss of the driver's disk costs no trial."""

import shutil
from pathlib import Path

from pct.settings import Settings
from tests.tuning.conftest import TINY, ended
from tuning import results, sweep
from tuning.ledger import Ledger
from tuning.plan import Plan
from tuning.storage import RecordCopy, bring_back, clear_sessions, storage_of
from tuning.trial import KEPT, restore_checkpoint


def test_the_record_of_a_lost_folder_is_brought_back_by_the_same_command(tmp_path, capsys):
    options = sweep.parser().parse_args([*TINY, "--storage", str(tmp_path / "remote"), "--trials", "7"])
    plan, resources, folder = sweep.read(options)
    plan.save(folder, resources)
    ledger = Ledger(folder)
    copy = RecordCopy(folder, storage_of(resources, folder))
    copy.start()
    ended(ledger, 1, 0.8, 0.1)
    copy.news(1)
    copy.stop()
    (folder / "mlflow.json").write_text("{}")
    copy.act()
    shutil.rmtree(folder)

    assert sweep.read(options) == (plan, resources, folder)
    assert f"{folder} is restored from" in capsys.readouterr().err
    again = Ledger(folder)
    assert (again.id, again.trials) == (ledger.id, ledger.trials)
    assert (folder / "mlflow.json").read_text() == "{}"
    assert Plan.load(folder) == (plan, resources)

    clear_sessions(storage_of(resources, folder), again)
    shutil.rmtree(folder)
    assert sweep.read(sweep.parser().parse_args(["--resume", str(folder), "--storage", resources.storage]))[0] == plan


def test_a_trial_whose_checkpoint_is_not_in_the_storage_is_trained_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("ray.tune.get_checkpoint", lambda: None)
    incomplete = tmp_path / "incomplete"
    incomplete.mkdir()
    (incomplete / "history.jsonl").write_text('{"epoch": 1}\n')
    started: list[list[Path]] = []
    monkeypatch.setattr("tuning.results.runs.run", lambda _, folder, **__: started.append(list(folder.iterdir())))
    for left in (str(tmp_path / "none"), str(incomplete)):
        assert restore_checkpoint(tmp_path / "run", left) == 0
        assert results._finish(Settings().to_dict(), left, None) == {}
    assert started == [[], []]
    for name in KEPT:
        (incomplete / name).write_text('{"epoch": 1}\n')
    assert restore_checkpoint(tmp_path / "run", str(incomplete)) == 1


def test_a_record_that_is_there_is_not_overwritten_by_its_copy(tmp_path):
    ledger = Ledger(tmp_path / "sweep")
    RecordCopy(ledger.path.parent, str(tmp_path / "remote")).act()
    ended(ledger, 1, 0.8, 0.1)
    assert not bring_back(ledger.path.parent, str(tmp_path / "remote"))
    assert 1 in Ledger(ledger.path.parent).trials


def test_a_storage_that_cannot_be_written_is_said_once_and_the_sweep_goes_on(tmp_path):
    (tmp_path / "file").write_text("")
    ledger = Ledger(tmp_path / "sweep")
    messages: list[str] = []
    copy = RecordCopy(ledger.path.parent, str(tmp_path / "file"), messages.append)
    copy.start()
    copy.news(1)
    copy.stop()
    assert len(messages) == 1
    assert "the record cannot be copied to" in messages[0]
