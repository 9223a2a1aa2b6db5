"""The process of `bentoml serve`, which ends with the one that started it, also where that was killed.

python -m serving.process serve SERVICE ..: standard input is a pipe whose other end the starting process holds.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

AGAIN_SECONDS = 0.5


def _end_with_parent() -> None:
    sys.stdin.buffer.read()  # returns when the other end is closed
    while True:  # again: circus ignores a signal that it gets while it starts a worker
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(AGAIN_SECONDS)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    runpy.run_module("bentoml", run_name="__main__", alter_sys=True)
