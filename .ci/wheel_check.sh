#!/usr/bin/env bash
# An environment with nothing but the wheel: the four lines of the README, export, verify, reconstruct.
#   PYTHON=.venv/bin/python .ci/wheel_check.sh dist/NAME.whl
set -euo pipefail
python=$PWD/$PYTHON
wheel=$(realpath "$1")
constraints=$(realpath constraints.txt)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m venv --without-pip "$work/venv"
"$python" -m pip --python "$work/venv/bin/python" --disable-pip-version-check install -q -c "$constraints" "$wheel"
cd "$work" # nothing of the checkout is in sight
export PATH=$work/venv/bin:$PATH
unset PYTHONPATH
python - <<'END'
import shutil
from pathlib import Path

import prior_assets

shutil.copy(Path(prior_assets.__file__).parent / "samples" / "coffee.jpg", "photo.jpg")
END
python - <<'END'
from priorraw_edge import load

raw = load("sony-imx135").reconstruct("photo.jpg")
raw.save("photo.dng")
print(raw)
END
priorraw-edge --version
priorraw-edge export --target xnnpack --tile 128 --out bundle
priorraw-edge verify bundle
priorraw-edge reconstruct photo.jpg -o device.dng --bundle bundle
python - <<'END'
import numpy as np
import rawpy

first, second = (rawpy.imread(name).raw_image_visible[..., :3].astype(float) for name in ("photo.dng", "device.dng"))
worst = np.abs(first - second).max()
assert worst < 655, worst  # 1 % of white: ExecuTorch against PyTorch; tiles of 128 against 512; seen: 399 codes
print(f"PyTorch and ExecuTorch agree to {worst:.0f} of 65,535")
END
echo "the wheel alone exports, verifies and reconstructs"
