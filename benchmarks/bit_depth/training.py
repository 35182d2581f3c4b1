"""Training of what is compared: our network with the prior and without, and the rivals, on the same crops and steps."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from priorraw.bank import Bank
from priorraw.depth_batches import Batches
from priorraw.depth_model import BitDepth, DepthConfig, DepthReconstructorConfig
from priorraw.files import atomic_file
from priorraw.train import TrainConfig
from priorraw.train_depth import fit_restorer, train_depth
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.bit_depth.networks import Learned, restore_batch

WEIGHTS = "network.safetensors"


@dataclass(frozen=True)
class Trainer:
    """One budget for all; what was trained before lies in `runs` and is taken from there."""

    batches: Callable[[bool], Batches]  # called with whether thumbnails are needed; may be costly
    train: TrainConfig
    runs: Path

    def ours(self, searching: BitDepth, bank: Bank, *, prior: bool) -> BitDepth:
        """Our network, which searches the bank by the encoder of `searching`; or the same without a prior."""
        model = BitDepth(DepthConfig(searching.config.encoder, DepthReconstructorConfig(prior=prior)))
        model.encoder.load_state_dict(searching.encoder.state_dict())
        model.affinity.load_state_dict(searching.affinity.state_dict())
        folder = self.runs / ("ours" if prior else "ours-without-prior")

        def fitted() -> nn.Module:
            held = bank if prior else None
            return train_depth(model, held, model.config, self.batches(prior), self.train, folder).reconstructor

        self._trained(model.reconstructor, folder, fitted)
        return model.eval()

    def rival(self, name: str, rival: Learned) -> nn.Module:
        """A rival's network."""
        torch.manual_seed(self.train.seed)
        network, folder = rival.network(), self.runs / name.lower().replace(" ", "-")

        def fitted() -> nn.Module:
            return fit_restorer(
                network,
                list(network.parameters()),
                lambda batch: restore_batch(rival, network, batch),
                self.batches(False),
                self.train,
                folder,
                {"rival": name},
            )

        return self._trained(network, folder, fitted).eval()

    def _trained(self, network: nn.Module, folder: Path, fitted: Callable[[], nn.Module]) -> nn.Module:
        path = folder / WEIGHTS
        if not path.exists():
            with_weights = fitted()
            with atomic_file(path) as temporary:
                save_file({k: v.contiguous() for k, v in with_weights.state_dict().items()}, temporary)
        network.load_state_dict(load_file(path))
        return network
