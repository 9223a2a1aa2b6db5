"""The repository as a user gets it."""

import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def clone(folder: Path) -> Path:
    """The repository as it stands, without what git ignores."""
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    for name in files.stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    return folder
