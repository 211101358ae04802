"""Whatever fails, ends or appears in the middle of writing: see writing_faults.py, which is run here for a while.

`TORCH2FLOW_FUZZ_SECONDS=3600` runs it for that long, and `python tests/attacks/writing_faults.py 0 0`
runs every case there is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from attack_counts import record_counts

SCRIPT = Path(__file__).with_name("writing_faults.py")


def test_no_fault_kill_or_race_loses_or_mixes_anything(tmp_path: Path) -> None:
    seconds, seed = os.environ.get("TORCH2FLOW_FUZZ_SECONDS", "40"), os.environ.get("TORCH2FLOW_FUZZ_SEED", "0")
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(SCRIPT), seconds, seed]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout, done.stderr[-2000:]
    found = json.loads(done.stdout)
    for kind in ("fault", "kill", "race"):
        tried = found.get(kind, 0)
        record_counts(f"{kind}s in the middle of writing", inputs=tried, refused=0, accepted=tried, faults=0)
    assert not found["failed"], "\n".join(found["failures"])
    assert min(found.get(kind, 0) for kind in ("fault", "kill", "race")) > 0, found
