"""The watch of the registry in `pct serve`: the list of models follows its aliases."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pct.auditing.kept import REGISTERED
from serving.model_sources import entry_of_version, find_version, registry
from serving.model_store import ModelEntry, write_entries


@dataclass
class RegistryWatch:
    """Checks whether the aliases in the registry still name the versions that are served."""

    models: list[ModelEntry]
    listed: Path
    cache: Path
    last_error: str = ""

    def check(self) -> bool:
        """Updates the list of models; returns whether it changed.

        A registry that does not answer, or a version that cannot be served, is reported once, and the models stay.
        """
        try:
            client = registry()
            current = [self._current(client, m) for m in self.models]
        except Exception as problem:  # whatever a server or its driver raises, the service goes on
            if str(problem) != self.last_error:
                self.last_error = str(problem)
                print(f"the models stay as they are: {problem}", file=sys.stderr, flush=True)
            return False
        self.last_error = ""
        if current == self.models:
            return False
        for before, after in zip(self.models, current, strict=True):
            if before.version != after.version:
                print(f"{after.id}: version {after.version} instead of {before.version}", flush=True)
        write_entries(self.listed, current)
        self.models = current
        return True

    @property
    def needed(self) -> bool:
        """Whether there is an alias to follow."""
        return any(m.alias for m in self.models)

    def _current(self, client: Any, model: ModelEntry) -> ModelEntry:
        match = REGISTERED.fullmatch(model.source)
        if match is None or not match["alias"]:
            return model
        version = find_version(client, match["name"], match["alias"], None)
        if version.version == model.version:
            return replace(model, audit=version.audit)  # it may have been audited meanwhile
        return replace(entry_of_version(client, version, model.source, self.cache), id=model.id)
