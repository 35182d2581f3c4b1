"""Checkpoints of a training run as safetensors: weights, their running mean, Adam's moments, the step.

Randomness needs no state: every step draws from a generator seeded with (seed, step), so a resumed run sees
what an uninterrupted one would have seen.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from priorraw.errors import InputError, reason
from priorraw.files import atomic_file, refuse_special


def step_generator(seed: int, step: int) -> torch.Generator:
    """The generator of one training step."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def save_checkpoint(
    path: Path,
    model: nn.Module,
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    step: int,
    config: dict[str, Any],
) -> None:
    """Write everything that a resumed run needs, atomically."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{i}.{k}": torch.as_tensor(v) for k, v in state.items()}
    metadata = {"step": str(step), "config": json.dumps(config, sort_keys=True)}
    with atomic_file(path) as temporary:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, metadata)


def load_checkpoint(
    path: Path,
    model: nn.Module,
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    config: dict[str, Any],
) -> int:
    """Restore a run in place and return the step to go on from.

    Raises:
        InputError: the file is damaged, or belongs to a run with other settings.
    """
    refuse_special(path)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        made_with, step = json.loads(metadata["config"]), int(metadata["step"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a readable checkpoint ({reason(error)}); delete it to start anew") from None
    if made_with != config:
        raise InputError(f"{path}: made with other settings; give the same ones or another --out")
    groups = optimizer.state_dict()["param_groups"]
    if step < 1 or {k: (v.shape, v.dtype) for k, v in tensors.items()} != _expected(model, optimizer):
        raise InputError(f"{path}: holds other tensors than this run has; delete it to start anew")
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise InputError(f"{path}: holds numbers that are not finite; delete it to start anew")
    model.load_state_dict(_under("model.", tensors))
    average.update(_under("average.", tensors))
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _under("adam.", tensors).items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return step


def _expected(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """Shapes and types of what `save_checkpoint` writes after a step, by name."""
    weights = {k: (v.shape, v.dtype) for k, v in model.state_dict().items()}
    expected = {f"{part}.{k}": value for part in ("model", "average") for k, value in weights.items()}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for i, parameter in enumerate(parameters):
        expected |= {f"adam.{i}.{k}": (parameter.shape, parameter.dtype) for k in ("exp_avg", "exp_avg_sq")}
        expected[f"adam.{i}.step"] = (torch.Size(), torch.float32)
    return expected


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
