"""The file arrays of a large corpus on Ray: all workers of a machine map one copy of them."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from pct.corpora.loading import load_splits
from pct.settings import Settings
from pct.text.file_array import FileArray
from pct.training.prepared import Prepared, prepare

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


def large_corpus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """A corpus whose texts and tokens are in files."""
    monkeypatch.setenv("PCT_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setattr("pct.corpora.text_file.LARGE", 20)
    path = folder / "texts.csv"
    path.write_text("text,label\n" + "".join(f"{('good', 'bad')[i % 2]} film {i},{i % 2}\n" for i in range(3000)))
    settings = Settings(corpus="files", train_file=str(path), model="textcnn", device="cpu", threads=1)
    return prepare(settings, load_splits(settings))


class Worker:
    """Says where it has the arrays of a corpus."""

    def mapped(self, data: Prepared) -> tuple[int, list[tuple[str, int]], int]:
        """The process; where the texts, the tokens and their words are mapped, as (device and inode of the file, offset
        in it), inode 0 for memory of the process alone; and the sum of the tokens."""
        texts: Any = data.corpus.splits["train"].texts
        arrays = [array.values() for array in (texts.content, data.train.ids, data.train.word_ids)]
        places = []
        for address in (array.__array_interface__["data"][0] for array in arrays):
            for line in Path("/proc/self/maps").read_text().splitlines():
                span, _, offset, device, inode, *_ = line.split()
                start, stop = (int(end, 16) for end in span.split("-"))
                if start <= address < stop:
                    places.append((f"{device} {inode}", int(offset, 16) + address - start))
        return os.getpid(), places, int(arrays[1].sum())


def test_two_workers_map_the_one_copy_in_the_object_store(local_ray, tmp_path, monkeypatch):
    import ray
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers need not find the tests
    data = large_corpus(tmp_path, monkeypatch)
    assert isinstance(data.train.ids, FileArray)
    workers = [ray.remote(num_cpus=1)(Worker).remote() for _ in "12"]
    try:
        shared = ray.put(data)
        (one, places, total), (other, others, _) = ray.get([worker.mapped.remote(shared) for worker in workers])
        assert len({one, other, os.getpid()}) == 3
        assert places == others
        assert len(places) == 3
        assert not any(file.endswith(" 0") for file, _ in places)  # memory of a process alone has no inode
        assert total == int(data.train.ids[:].sum())
    finally:
        for worker in workers:
            ray.kill(worker)
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
