"""What a request may ask for, as settings from the environment."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, fields
from typing import Any, Self

PREFIX = "PCT_SERVE_"
# what `pct serve` tells the processes of the service: the list of models, the token, the number of processes and of
# threads, the names of the host, the form of the log, and the file in which a process says why it could not start
MODEL_LIST, TOKEN, WORKERS, THREADS = "PCT_SERVE_LIST", "PCT_TOKEN", "PCT_SERVE_WORKERS", "PCT_SERVE_THREADS"
HOSTS, LOG, FAILURE = "PCT_SERVE_HOSTS", "PCT_SERVE_LOG", "PCT_SERVE_FAILURE"
EVERY_HOST = "*"  # in HOSTS
# Bytes of a body beyond the limit that are read and dropped: most clients read an answer only after they have sent all.
# Beyond them the connection is closed.
DRAINED = 2**25
# The delay of a refusal, so that a client that sends invalid requests without a pause takes little of the event loop.
SECONDS_TO_REFUSE = 0.05


def _limit(default: Any, about: str) -> Any:
    return field(default=default, metadata={"help": about})


@dataclass(frozen=True)
class Limits:
    """Bounds on size and time. Each is an option of `pct serve`, and read from PCT_SERVE_<NAME>, as PCT_SERVE_TEXTS.

    Its default and its help text are the only definition: the command line, the OpenAPI document and the documentation
    are made from them.
    """

    texts: int = _limit(64, "texts per request")
    characters: int = _limit(10_000, "characters per text")
    body_bytes: int = _limit(2**20, "bytes of a request's body")
    head_bytes: int = _limit(2**15, "bytes of a request's address and headers")
    head_seconds: float = _limit(10.0, "seconds until a request's headers are complete")
    connections: int = _limit(
        4096, "connections per worker; beyond it the one that has waited longest for a whole request is closed"
    )
    seconds: float = _limit(30.0, "seconds for a request's body to arrive, and again for its answer")
    max_steps: int = _limit(200, "removals per curve")
    cost: int = _limit(100_000, "passes of a text through the model per request; a backward pass counts as two")
    queue: int = _limit(64, "requests that run or wait in a lane of a worker; the next one gets status 503")
    batch: int = _limit(64, "texts of waiting requests that share a call of the model; 1: none do")

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not 0 < value < math.inf:
                raise ValueError(f"{PREFIX}{f.name.upper()} must be > 0 and finite, got {value}")

    @classmethod
    def from_environment(cls) -> Self:
        """The defaults, except for what the environment sets.

        Raises:
            ValueError: a value is not a positive number.
        """
        values: dict[str, Any] = {}
        for f in fields(cls):
            name = f"{PREFIX}{f.name.upper()}"
            if (text := os.environ.get(name)) is None:
                continue
            try:
                values[f.name] = float(text) if f.type == "float" else int(text)
            except ValueError:
                raise ValueError(f"{name} must be a number ({f.type}), got {text!r}") from None
        return cls(**values)
