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
off = np.abs(first - second) / 65535
psnr = -10 * np.log10(np.square(off).mean())
# int8 in ExecuTorch, tiles of 128, against PyTorch, tiles of 512; seen: 69.5 dB, and 2.1 % of white at the worst pixel.
assert psnr > 60 and off.max() < 0.04, (psnr, off.max())
print(f"PyTorch and ExecuTorch agree to {psnr:.1f} dB, {off.max():.1%} of white at worst")
END
echo "the wheel alone exports, verifies and reconstructs"
