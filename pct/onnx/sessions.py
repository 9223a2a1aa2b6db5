"""The graphs of an exported folder as ONNX Runtime sessions, each opened at its first use."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.text.tokens import Floats

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FileStamp = tuple[int, ...]


class Sessions:
    """The graphs of a folder. Threads may share it.

    Args:
        folder: an exported folder.
        threads: CPU threads of one call; 0 uses all cores.
    """

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self._folder, self._threads = folder, threads
        self._files = {path.name: file_stamp(path) for path in folder.glob("*.onnx")}
        self._open: dict[str, InferenceSession] = {}
        self._lock = threading.Lock()

    def __contains__(self, name: str) -> bool:
        """Whether the folder has a graph of this file name."""
        return name in self._files

    def run(self, name: str, outputs: Sequence[str], feeds: dict[str, Any]) -> dict[str, Floats]:
        """Runs a graph, and returns outputs by name.

        Args:
            name: the graph's file name.
            outputs: their names.
            feeds: the inputs by name.

        Raises:
            ValueError: as `open`.
        """
        return dict(zip(outputs, self.open(name).run(list(outputs), feeds), strict=True))

    def open(self, name: str) -> InferenceSession:
        """The session of a graph. It is opened once.

        Raises:
            ValueError: the file is damaged, or has changed since the folder was loaded.
        """
        session = self._open.get(name)
        if session is not None:
            return session
        with self._lock:
            if name not in self._open:
                self._open[name] = self._start(self._folder / name)
            return self._open[name]

    def _start(self, path: Path) -> InferenceSession:
        import onnxruntime

        if file_stamp(path) != self._files.get(path.name):
            raise ValueError(f"{path} was changed or removed after the folder was loaded; load the folder again")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # spinning threads would take the cores from other work, such as the web server
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as problem:  # ONNX Runtime's own errors have no common base but Exception
            raise ValueError(f"{path} is damaged and cannot be loaded ({problem}); export the model again") from problem


def file_stamp(path: Path) -> FileStamp:
    """Numbers that change if the file is changed or replaced; zeros where there is no file."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return 0, 0, 0
    return status.st_ino, status.st_size, status.st_mtime_ns
