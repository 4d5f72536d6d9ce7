"""Run the Python of docs/how-to/pyod.md, from its first line to its last, after `dvc repro`.

PyOD is not among the pipeline's requirements, so that no test can run this page:

    make peers && .venv-peers/bin/python -m benchmarks.peers.recipe
"""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "pyod.md"


def main() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    sys.exit(subprocess.run([sys.executable, "-c", "\n".join(blocks)], check=False).returncode)


if __name__ == "__main__":
    main()
