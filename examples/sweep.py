"""Four trials of PCT's settings on this machine, then one more; each is a run in MLflow, and the best is registered.

python examples/sweep.py            # or: pct sweep, with the same options
"""

import json
from pathlib import Path

from pct.cli import main

FOLDER = Path("example-sweep")
SMALL = ["--corpus", "planted", "--model", "textcnn", "--limit", "400", "--epochs", "2", "--evaluate-limit", "64"]
SEARCHED = ["--set", "alpha=loguniform(0.05, 1.5)", "--set", "batch_size=choice(16, 32)", "--set", "tau=0.7"]

if __name__ == "__main__":
    done = main(["sweep", *SMALL, *SEARCHED, "--trials", "4", "--device", "cpu", "--folder", str(FOLDER), "--quiet"])
    # a sweep goes on from its folder: after a kill, or to add trials
    done = done or main(["sweep", "--resume", str(FOLDER), "--trials", "5", "--quiet"])
    if done == 0:
        chosen = json.loads((FOLDER / "results.json").read_text())["chosen"]
        print(f"chosen: {chosen['trial']}: {chosen['why']}")
