"""Atomic writes through links, and onto what cannot be replaced."""

import pytest

from pct.writing import atomic_folder, check_folder, write_text


def test_a_link_keeps_pointing_to_what_is_written(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    with atomic_folder(tmp_path / "link", "mark") as part:
        write_text(part / "mark", "written")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "mark").read_text(encoding="utf-8") == "written"
    (tmp_path / "other").symlink_to("file")
    write_text(tmp_path / "other", "a text")
    assert (tmp_path / "other").is_symlink()
    assert (tmp_path / "file").read_text(encoding="utf-8") == "a text"


def test_a_mount_point_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("os.path.ismount", lambda path: str(path) == str(tmp_path))
    with pytest.raises(FileExistsError, match="is a mount point, which cannot be replaced; give a folder inside it"):
        check_folder(tmp_path, "mark")
    check_folder(tmp_path / "inside", "mark")
