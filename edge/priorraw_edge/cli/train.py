"""priorraw-edge train search | light | reconstruct: `python -m priorraw.train` under another name."""

from priorraw.train_command import command

__all__ = ["command"]
