"""Training in two processes: torchrun and gloo. The losses and the weights of one process with the same batch."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import tiny
from priorraw import distributed
from priorraw.distributed import Part
from priorraw.errors import InputError
from priorraw.pictures import TrainingPicture, load_cameras
from priorraw.train import CHECKPOINT
from priorraw.train_reconstruct import ReconstructConfig
from safetensors.torch import load_file
from test_train import SHORT, recorded, run_reconstruct, run_search, stage1, stage3
from torch import Tensor

ROOT = Path(__file__).parents[1]
CONFIG = replace(SHORT, steps=8, checkpoint_every=4)
RUNS = {"search": run_search, "reconstruct": run_reconstruct}
STAGES = pytest.mark.parametrize("stage", RUNS)
# What each of two processes does, one run after the other: (stage, folder, step to stop before or null).
SCRIPT = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from priorraw import distributed
from priorraw.pictures import load_cameras
from test_distributed import CONFIG, RUNS

mean, losses, stop = distributed.mean, [], None

def counted(value):
    if len(losses) == stop:
        raise KeyboardInterrupt
    losses.append(mean(value))
    return losses[-1]

distributed.mean = counted
with distributed.processes():
    pictures = load_cameras([Path(sys.argv[1])], "train")[0].pictures
    for stage, out, stop in json.loads(sys.argv[2]):
        losses.clear()
        try:
            RUNS[stage](pictures, Path(out), CONFIG)
        except KeyboardInterrupt:
            pass
        if distributed.rank() == 0:
            Path(out + ".json").write_text(json.dumps(losses))
"""


def torchrun(*command: object) -> subprocess.CompletedProcess:
    paths = os.pathsep.join(str(path) for path in (ROOT / "training", ROOT / "edge", ROOT / "tests", ROOT))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    call = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *map(str, command)]
    return subprocess.run(call, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tiny.dataset(tmp_path_factory.mktemp("train") / "d", 8)


@pytest.fixture(scope="module")
def pictures(data) -> list[TrainingPicture]:
    return load_cameras([data], "train")[0].pictures


@pytest.fixture(scope="module")
def two(data, pictures, tmp_path_factory) -> Path:
    """Runs of two processes: from the start; from what one process left; and cut short."""
    folder = tmp_path_factory.mktemp("two")
    runs = []
    for stage, run in RUNS.items():
        module, loss = (stage1, "search_loss") if stage == "search" else (stage3, "reconstruction_loss")
        with pytest.MonkeyPatch.context() as patch:
            recorded(patch, module, loss, stop_after=6)
            with pytest.raises(KeyboardInterrupt):
                run(pictures, folder / f"{stage}-resumed", CONFIG)
        runs += [(stage, f"{folder}/{stage}", None), (stage, f"{folder}/{stage}-resumed", None)]
        runs += [(stage, f"{folder}/{stage}-cut", 6)]
    (folder / "script.py").write_text(SCRIPT)
    done = torchrun(folder / "script.py", data, json.dumps(runs))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def one_process(run: Callable, pictures: list[TrainingPicture], out: Path, config=CONFIG) -> list[float]:
    """The losses of all steps."""
    losses: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distributed, "mean", lambda value: losses.append(value.item()) or losses[-1])
        run(pictures, out, config)
    return losses


def furthest(one: Path, other: Path) -> float:
    """Largest difference between the weights, and their running means, of two checkpoints."""
    a, b = load_file(one / CHECKPOINT), load_file(other / CHECKPOINT)
    assert a.keys() == b.keys()
    return max(float((a[k] - b[k]).abs().max()) for k in a if k.startswith(("model.", "average.")))


@STAGES
def test_two_processes_learn_what_one_does(stage, two, pictures, tmp_path):
    alone = one_process(RUNS[stage], pictures, tmp_path)
    together = json.loads((two / f"{stage}.json").read_text())
    assert len(alone) == len(together) == 8 and len(set(alone)) > 4
    assert max(abs(a - b) for a, b in zip(alone, together, strict=True)) < 1e-5
    assert furthest(tmp_path, two / stage) < 1e-4


@STAGES
def test_a_run_goes_on_with_more_or_fewer_processes(stage, two, pictures, tmp_path):
    one_process(RUNS[stage], pictures, tmp_path)
    assert len(json.loads((two / f"{stage}-resumed.json").read_text())) == 4  # steps 5 to 8
    assert furthest(tmp_path, two / f"{stage}-resumed") < 1e-4
    assert len(one_process(RUNS[stage], pictures, two / f"{stage}-cut")) == 4
    assert furthest(tmp_path, two / f"{stage}-cut") < 1e-4


@STAGES
def test_a_batch_in_parts_is_the_same_batch(stage, pictures, tmp_path):
    whole = one_process(RUNS[stage], pictures, tmp_path / "whole")
    parts = one_process(RUNS[stage], pictures, tmp_path / "parts", replace(CONFIG, accumulate=2))
    assert max(abs(a - b) for a, b in zip(whole, parts, strict=True)) < 1e-5
    assert furthest(tmp_path / "whole", tmp_path / "parts") < 1e-4


def test_parts_share_a_batch_without_rest():
    for count in (1, 2, 3, 7):
        shared = [Part(i, count).of(range(7)) for i in range(count)]
        assert sorted(i for part in shared for i in part) == list(range(7))
    with pytest.raises(InputError, match="a batch of 7 crops cannot be shared by 8"):
        Part(0, 8).of(range(7), "crops")


def test_a_batch_that_is_too_small_is_one_line(pictures, tmp_path):
    assert asdict(ReconstructConfig()) == {"batch": 16}
    with pytest.raises(InputError, match="a batch of 4 crops cannot be shared by 5"):
        run_reconstruct(pictures, tmp_path, replace(CONFIG, accumulate=5))


def test_torchrun_trains_by_the_command(data, tmp_path, cli):
    """The module's own entry, in two processes, beside `priorraw-edge train` in one."""
    arguments = ("search", data, "--steps", 3, "--dim", 8, "--checkpoint-every", 2)
    done = torchrun("-m", "priorraw.train", *arguments, "-o", tmp_path / "two")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"{tmp_path / 'two' / 'encoder.safetensors'}: 3 steps, 1 cameras\n"  # the first alone
    assert sorted(p.name for p in (tmp_path / "two").iterdir()) == [CHECKPOINT, "encoder.safetensors", "log"]
    assert len(list((tmp_path / "two" / "log").iterdir())) == 1
    code, _, _ = cli("train", *arguments, "-o", tmp_path / "one")
    assert code == 0
    one, two = (load_file(tmp_path / name / "encoder.safetensors") for name in ("one", "two"))
    assert difference(one, two) < 1e-4
    done = torchrun("-m", "priorraw.train", *arguments[:2], "-o", tmp_path / "two", "--steps", 4)
    assert done.returncode != 0 and done.stderr.count("made with other settings; give the same") == 1


def difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[k] - other[k]).abs().max()) for k in one)
