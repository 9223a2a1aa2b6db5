"""Things of one kind by name: the project's own, those of installed packages, those that a script registers.

A package brings one by an entry point of its metadata (`[project.entry-points."pct.methods"]`, `noise = "tiny:Noise"`);
a script by the decorator, `@methods.register("noise")`. Neither touches this project. The registries are in the
packages of what they list: `pct.methods.methods`, `pct.metrics.metrics`, `pct.saliency.saliencies`. No torch here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S")


class Registry(Generic[T]):
    """What there is of one kind, by name. Listed without importing it; loaded when it is first asked for.

    Args:
        kind: what it holds, as messages say it: "method".
        group: the entry points' group in the metadata of other packages: "pct.methods".
        own: the project's own names, each with the module that registers it. They win over a package's.
    """

    def __init__(self, kind: str, group: str, own: Mapping[str, str]) -> None:
        self.kind, self.group, self.own = kind, group, dict(own)
        self._loaded: dict[str, T] = {}

    def register(self, *names: str) -> Callable[[S], S]:
        """A decorator that adds what it decorates under one name or more.

        Raises:
            ValueError: something else has the name.
        """

        def add(thing: S) -> S:
            for name in names:
                # the same one again is a cell that is run twice, or a module that is loaded anew
                before = self.own.get(name) or (_home(self._loaded[name]) if name in self._loaded else None)
                if before not in (None, _home(thing)):
                    raise ValueError(f"the {self.kind} {name!r} is there already, from {before}; take another name")
                self._loaded[name] = thing  # type: ignore[assignment]
            return thing

        return add

    def names(self) -> list[str]:
        """Every name: the project's own, those of installed packages, those registered since."""
        return list(dict.fromkeys([*self.own, *sorted(p.name for p in entry_points(group=self.group)), *self._loaded]))

    def get(self, name: str) -> T:
        """What has the name; its module is imported where it is not yet.

        Raises:
            ValueError: nothing has it; the message lists what there is.
            ImportError: the package that brings it cannot be loaded.
        """
        if name not in self._loaded:
            if name in self.own:
                import_module(self.own[name])
            else:
                self._load(name)
        return self._loaded[name]

    def check(self, name: str, origin: str = "") -> None:
        """Raises ValueError for a name that nothing has, or ImportError where it is known whence it came.

        Args:
            name: the name.
            origin: what `origin` told where it was there.
        """
        if name in self.own or name in self._loaded or self._point(name):
            return
        if origin:
            raise ImportError(f"the {self.kind} {name!r} is missing: it came from {origin}; install or import that")
        raise ValueError(f"{self.kind} must be one of {', '.join(self.names())}, got {name!r}")

    def origin(self, name: str) -> str:
        """Whence a name comes: a package with its version and entry point, or a module; empty for the project's own."""
        if name in self.own:
            return ""
        if point := self._point(name):
            package = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
            return f"the package {package} ({point.value})"
        return f"the module {_home(self._loaded[name])}"

    def _point(self, name: str) -> EntryPoint | None:
        return next(iter(entry_points(group=self.group, name=name)), None)

    def _load(self, name: str) -> None:
        self.check(name)
        point: Any = self._point(name)
        try:
            thing = point.load()
        except Exception as problem:  # whatever the package does when it is imported
            raise ImportError(
                f"the {self.kind} {name!r} of {self.origin(name)} cannot be loaded: {problem}"
            ) from problem
        # a module that was loaded may have registered the name itself
        self._loaded.setdefault(name, thing)


def _home(thing: object) -> str:
    """The module that made a thing."""
    return str(getattr(thing, "__module__", "unknown"))


def __getattr__(name: str) -> Any:
    """The places of `methods` and `metrics` until 0.1.0, for one release more."""
    if name not in ("methods", "metrics"):
        raise AttributeError(f"module 'pct.registry' has no attribute {name!r}")
    warnings.warn(f"pct.registry.{name} has moved: from pct.{name} import {name}", DeprecationWarning, stacklevel=2)
    return getattr(import_module(f"pct.{name}"), name)
