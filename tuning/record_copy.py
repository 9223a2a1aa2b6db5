"""A copy of the sweep's record beside its checkpoints: where the storage is remote, the loss of the driver's disk costs
seconds of the record and no trial."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

from pct.writing import atomic_write
from pipelines.mlflow_runs import TRACKING
from tuning.ledger import LEDGER
from tuning.plan import PLAN
from tuning.storage import file_system

RECORD = "record"  # the folder in the storage
FILES = (PLAN, TRACKING, LEDGER)  # the ledger last: where it exists, the others do
SECONDS_BETWEEN = 2.0


class RecordCopy:
    """A listener of the search that copies the sweep's record to the storage, in a thread of its own."""

    def __init__(self, folder: Path, storage: str, say: Callable[[str], None] = print) -> None:
        self.folder, self.storage, self.say = folder, storage, say
        self.failed = False
        self._copied: dict[str, bytes] = {}
        self._stop, self._news = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="record", daemon=True)
        self._thread.start()

    def news(self, number: int) -> None:
        """Wakes the thread: there is something to copy."""
        self._news.set()

    def stop(self) -> None:
        """Copies the rest and stops."""
        self._stop.set()
        self._news.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stop.is_set():
            self._try_copy()
            self._news.wait()
            self._stop.wait(SECONDS_BETWEEN)  # what is new in this time is copied at once
            self._news.clear()
        self._try_copy()

    def _try_copy(self) -> None:
        try:
            self.copy()
            self.failed = False
        except OSError as problem:
            if not self.failed:
                self.say(f"the record cannot be copied to {self.storage} ({problem}); the sweep goes on without a copy")
            self.failed = True

    def copy(self) -> None:
        """Copies the files that changed. Raises OSError."""
        system, base = file_system(f"{self.storage}/{RECORD}")
        system.create_dir(base)
        for name in FILES:
            content = (self.folder / name).read_bytes() if (self.folder / name).is_file() else b""
            if content and content != self._copied.get(name):
                with system.open_output_stream(f"{base}/{name}.part") as out:
                    out.write(content)
                system.move(f"{base}/{name}.part", f"{base}/{name}")
                self._copied[name] = content


def bring_back(folder: Path, storage: str) -> bool:
    """Copies the record from the storage into a sweep's folder that has none. Returns whether it did.

    Raises OSError where the storage cannot be read.
    """
    if (folder / LEDGER).is_file():
        return False
    system, base = file_system(f"{storage}/{RECORD}")
    if not system.get_file_info(f"{base}/{LEDGER}").is_file:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        with (
            contextlib.suppress(FileNotFoundError),
            system.open_input_stream(f"{base}/{name}") as found,
            atomic_write(folder / name) as unfinished,
        ):
            unfinished.write_bytes(found.read())
    return True
