"""Registries of plugins by name: the project's own, those of installed packages, and those of scripts.

A package adds a plugin by an entry point in its metadata (`[project.entry-points."pct.methods"]`,
`noise = "tiny:Noise"`), a script by the decorator `@methods.register("noise")`. The registries are
`pct.methods.methods`, `pct.metrics.metrics` and `pct.saliency.saliencies`. This module needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from pct.renamed import renamed

T = TypeVar("T")
S = TypeVar("S")


class Registry(Generic[T]):
    """The plugins of one kind by name. They are listed without an import, and imported at their first use.

    Args:
        kind: the kind, as messages name it: "method".
        group: the group of entry points in the metadata of other packages: "pct.methods".
        own: the project's own names, each as "module:attribute". They take precedence over those of packages.
    """

    def __init__(self, kind: str, group: str, own: Mapping[str, str]) -> None:
        self.kind, self.group, self.own = kind, group, dict(own)
        self._loaded: dict[str, T] = {}

    def register(self, *names: str) -> Callable[[S], S]:
        """A decorator that adds a class or function under one or more names.

        Raises:
            ValueError: something else has the name.
        """

        def add(thing: S) -> S:
            for name in names:
                # the same module may register again: a notebook cell that runs twice, a reloaded module
                module = self.own[name].partition(":")[0] if name in self.own else None
                if module is None and name in self._loaded:
                    module = _home(self._loaded[name])
                if module not in (None, _home(thing)):
                    raise ValueError(f"the {self.kind} {name!r} exists already, from {module}; take another name")
                self._loaded[name] = thing  # type: ignore[assignment]
            return thing

        return add

    def names(self) -> list[str]:
        """Every name: the project's own, those of installed packages, and those that were registered."""
        return list(dict.fromkeys([*self.own, *sorted(p.name for p in entry_points(group=self.group)), *self._loaded]))

    def get(self, name: str) -> T:
        """The class or function of a name; its module is imported if it is not yet.

        Raises:
            ValueError: nothing has the name; the message lists all names.
            ImportError: the package that adds it cannot be loaded.
        """
        if name not in self._loaded:
            if name in self.own:
                module, _, attribute = self.own[name].partition(":")
                self._loaded[name] = getattr(import_module(module), attribute)
            else:
                self._load(name)
        return self._loaded[name]

    def check(self, name: str, origin: str = "") -> None:
        """Checks that a name exists.

        Args:
            name: the name.
            origin: what `origin` returned where the name existed.

        Raises:
            ValueError: nothing has the name.
            ImportError: nothing has it now, and its origin is known.
        """
        if name in self.own or name in self._loaded or self._point(name):
            return
        if origin:
            raise ImportError(f"the {self.kind} {name!r} is missing: it came from {origin}; install or import that")
        raise ValueError(f"{self.kind} must be one of {', '.join(self.names())}, got {name!r}")

    def origin(self, name: str) -> str:
        """The origin of a name: a package with version and entry point, or a module; empty for the project's own."""
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
        except Exception as problem:  # the import runs any code of the package
            raise ImportError(
                f"the {self.kind} {name!r} of {self.origin(name)} cannot be loaded: {problem}"
            ) from problem
        # the module may have registered the name itself
        self._loaded.setdefault(name, thing)


def _home(thing: object) -> str:
    """The module that defines a thing."""
    return str(getattr(thing, "__module__", "unknown"))


__getattr__ = renamed(__name__)
