"""What `pct serve` does beside the service: the registry is looked at, and the list of models follows its aliases."""

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
    """Looks whether the aliases in the registry still mean the versions that are served."""

    models: list[ModelEntry]
    listed: Path
    cache: Path
    complained: str = ""

    def look(self) -> bool:
        """Whether the list changed. A registry that cannot be asked, or a version that cannot be served, is told once;
        what is served stays."""
        try:
            client = registry()
            now = [self._current(client, m) for m in self.models]
        except Exception as problem:  # whatever a server or its driver raises: serving goes on
            if str(problem) != self.complained:
                self.complained = str(problem)
                print(f"the models stay as they are: {problem}", file=sys.stderr, flush=True)
            return False
        self.complained = ""
        if now == self.models:
            return False
        for before, after in zip(self.models, now, strict=True):
            if before.version != after.version:
                print(f"{after.id}: version {after.version} instead of {before.version}", flush=True)
        write_entries(self.listed, now)
        self.models = now
        return True

    @property
    def needed(self) -> bool:
        """Whether there is an alias to look after."""
        return any(m.alias for m in self.models)

    def _current(self, client: Any, model: ModelEntry) -> ModelEntry:
        match = REGISTERED.fullmatch(model.source)
        if match is None or not match["alias"]:
            return model
        found = find_version(client, match["name"], match["alias"], None)
        if found.version == model.version:
            return replace(model, audit=found.audit)  # it may have been audited since
        return replace(entry_of_version(client, found, model.source, self.cache), id=model.id)
