"""What a training of the benchmarks may spend, and its options on the command line."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click
from priorraw.train import TrainConfig


@dataclass(frozen=True)
class Budget:
    """Steps of how many crops of which side, and where the runs are kept."""

    steps: int
    batch: int
    crop: int
    learning_rate: float
    runs: Path

    @property
    def train(self) -> TrainConfig:
        return TrainConfig(self.steps, self.learning_rate)

    @property
    def megapixels(self) -> int:
        """What a run sees, rounded."""
        return round(self.steps * self.batch * self.crop**2 / 1e6)


def limited(steps: int, batch: int, crop: int, runs: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of a budget, with these defaults; it is called with `budget`."""
    options = {"steps": steps, "batch": batch, "crop": crop, "learning-rate": 1e-3, "runs": Path(runs)}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_budget(*, steps: int, batch: int, crop: int, learning_rate: float, runs: Path, **others: Any) -> None:
            command(budget=Budget(steps, batch, crop, learning_rate, runs), **others)

        for name, default in options.items():
            kind = click.Path(path_type=Path) if name == "runs" else None
            with_budget = click.option(f"--{name}", default=default, show_default=True, type=kind)(with_budget)
        return with_budget

    return decorate
