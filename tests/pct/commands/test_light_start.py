"""A command reads its options before it imports what takes seconds."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.project import REPOSITORY

HEAVY = {"torch", "transformers", "datasets", "mlflow", "ray", "bentoml", "onnxruntime", "pandas", "matplotlib"}
CODE = """
import sys
from pct.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print("\\n" + " ".join([str(code), *sorted({name.split(".")[0] for name in sys.modules})]))
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        *((f"{command} --help", 0) for command in ("serve", "bento", "explain", "predict", "evaluate", "export")),
        ("serve none --max-texts x", 2),
        ("serve none --poll nan", 1),
        ("explain none text --saliency x", 1),
        ("explain none text --data x.csv --output x.html", 1),
        ("predict none", 1),
        ("evaluate none --saliency x", 1),
        ("export none folder --to transformers --int8", 1),
    ],
)
def test_help_and_wrong_options_are_answered_before_torch_is_imported(arguments: str, code: int) -> None:
    command = [sys.executable, "-c", CODE, *arguments.split()]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    returned, *modules = done.stdout.splitlines()[-1].split()
    assert returned == str(code), done.stderr
    assert not HEAVY & set(modules)
