"""What docs/reliability.md promises, put to the test: fuzzed readers, processes killed anywhere, full disks, soak."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # the small models and pictures that the tests use
