"""Which explanation of a model can be trusted: every saliency on the same texts and removals, and a judgement.

`pct.audit(model, data)` is a function, and this package has its name: importing any part of the package puts it in the
function's place. So the package can be called, too.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """See `pct.audit.audit.audit`."""
        from pct.audit.audit import audit

        return audit(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
