"""Version and extras of pct-explain: those of pct-explain-core, which stand in the root of the repository."""

import re
import tomllib
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parents[2]
VERSION = re.search('__version__ = "(.+)"', (ROOT / "pct" / "__init__.py").read_text(encoding="utf-8"))[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]

setup(
    version=VERSION,
    install_requires=[f"pct-explain-core[train]=={VERSION}"],
    extras_require={name: [f"pct-explain-core[{name}]=={VERSION}"] for name in EXTRAS},
)
