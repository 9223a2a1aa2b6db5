"""What a request may ask for, as settings from the environment."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from typing import Any, Self

PREFIX = "PCT_SERVE_"
# how `pct serve` tells the service's processes what they serve, with which token, in how many processes and threads,
# under which names, how they write their log, and where a process says why it could not start
MODEL_LIST, TOKEN, WORKERS, THREADS = "PCT_SERVE_LIST", "PCT_TOKEN", "PCT_SERVE_WORKERS", "PCT_SERVE_THREADS"
HOSTS, LOG, FAILURE = "PCT_SERVE_HOSTS", "PCT_SERVE_LOG", "PCT_SERVE_FAILURE"
# Bytes of a body that is too large which are read and thrown away: most clients hear an answer only when they have sent
# it all. Beyond them the connection is closed upon the sender.
DRAINED = 2**25
# Who is refused hears it a little later: one that asks wrongly without a pause has little of the event loop.
SECONDS_TO_REFUSE = 0.05


@dataclass(frozen=True)
class Limits:
    """Bounds on size and time. Each is read from PCT_SERVE_<NAME>, PCT_SERVE_TEXTS say."""

    texts: int = 64  # texts a request
    characters: int = 10_000  # characters a text
    body_bytes: int = 2**20  # bytes of a request's body
    head_bytes: int = 2**15  # bytes of a request's address and headers
    head_seconds: float = 10.0  # from a connection, or a request's first byte, to the end of its headers
    connections: int = 4096  # that a worker holds; the longest without a whole request gives way to the next one
    seconds: float = 30.0  # for the body to come, and then to the answer
    max_steps: int = 200  # removals a curve
    cost: int = 100_000  # passes of a text through the model a request
    queue: int = 64  # requests at work or waiting in a lane of a worker; the next one gets 503
    batch: int = 64  # texts of waiting requests that go together in a call of the model

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 < value < math.inf:
                raise ValueError(f"{PREFIX}{field.name.upper()} must be > 0 and finite, got {value}")

    @classmethod
    def from_environment(cls) -> Self:
        """The defaults, but for what the environment sets. Raises ValueError for what is not a positive number."""
        found: dict[str, Any] = {}
        for field in fields(cls):
            name = f"{PREFIX}{field.name.upper()}"
            if (given := os.environ.get(name)) is None:
                continue
            kind = float if field.type == "float" else int
            try:
                found[field.name] = kind(given)
            except ValueError:
                raise ValueError(f"{name} must be a number ({kind.__name__}), got {given!r}") from None
        return cls(**found)
