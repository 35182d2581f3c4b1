"""The runs of the ablation: assemble the test pictures' RAW from references or bank, or train a network on them."""

import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from priorraw.ablation_rows import NETWORKS, Plan, Run, bank_note
from priorraw.bank import References, collect_references, compress
from priorraw.errors import InputError
from priorraw.lookup import CHUNK_TOKENS
from priorraw.metrics import score
from priorraw.model import PriorRAW
from priorraw.pictures import TrainingPicture
from priorraw.progress import track
from priorraw.train import TrainConfig
from priorraw.train_paper import Fold, make_folds, restore, table, train_paper

BLOCK = 16_384  # references at a time: a block of affinities is 128 MB


@torch.no_grad()
def assemble_from_all(query: Tensor, features: np.ndarray, values: np.ndarray, scale: float) -> Tensor:
    """softmax(scale query . features) over every reference, times its values.

    One pass in blocks with a running maximum, so that memory does not grow with the references and no weight
    underflows before the last block is seen (Milakov, Gimelshein: Online normalizer calculation for softmax, 2018).

    Args:
        query: (P, d) unit features.
        features: (R, d) unit features, may be memory-mapped.
        values: (R, C), one row a reference.

    Returns:
        (P, C).
    """
    assembled = []
    for tokens in query.split(CHUNK_TOKENS):
        top = torch.full((len(tokens), 1), -torch.inf)
        weight, total = torch.zeros(len(tokens), 1), torch.zeros(len(tokens), values.shape[1])
        for start in range(0, len(features), BLOCK):
            keys, part = (torch.from_numpy(a[start : start + BLOCK].copy()) for a in (features, values))
            logits = scale * (tokens @ keys.T)
            before, top = top, torch.maximum(top, logits.amax(1, keepdim=True))
            affinity, shrink = torch.exp(logits - top), torch.exp(before - top)
            weight = weight * shrink + affinity.sum(1, keepdim=True)
            total = total * shrink + affinity @ part
        assembled.append(total / weight)
    return torch.cat(assembled)


class Bench:
    """One camera's pictures and encoder; what several runs need is made once, when first asked for."""

    def __init__(
        self,
        model: PriorRAW,
        train: list[TrainingPicture],
        test: list[TrainingPicture],
        plan: Plan,
        checkpoints: Path,
        about: dict[str, Any],
    ):
        """`about` names encoder and pictures, which a checkpoint must agree with."""
        self.model, self.train, self.test = model, train, test
        self.plan, self.checkpoints, self.about = plan, checkpoints, about

    def measure(self, run: Run) -> dict[str, Any]:
        """PSNR and SSIM of a run, means over the test pictures, and what to know of it; None where K is too large."""
        if run.K is None:
            scale = float(self.model.affinity.scale())
            features, raw = self.references.features, self.references.values[:, 3:]
            psnr, ssim = self._assembled(lambda query: assemble_from_all(query, features, raw, scale))
            return {"psnr": psnr, "ssim": ssim, "note": f"{len(features):,} reference pixels"}
        note = bank_note(len(self.references.features), run.K, run.G)
        if max(run.K, run.G) > len(self.references.features):
            return {"psnr": None, "ssim": None, "note": note}
        if run.network is not None:
            psnr, ssim = self._network(run)
            return {"psnr": psnr, "ssim": ssim, "note": None}
        keys, values = self._bank(run.K, run.G, run.seed)
        psnr, ssim = self._assembled(lambda query: self.model.affinity.assemble(query, keys, values[3:])[0])
        return {"psnr": psnr, "ssim": ssim, "note": note}

    @cached_property
    def references(self) -> References:
        """All valid half-resolution pixels of the train split."""
        self._folder = tempfile.TemporaryDirectory()  # memory-mapped: lives as long as the bench
        return collect_references(self.model, self.train, Path(self._folder.name))

    @cached_property
    def folds(self) -> list[Fold]:
        return make_folds(self.model, self.train, self.plan.K, self.plan.G, seed=0)

    @cached_property
    def network_bank(self) -> tuple[Tensor, Tensor]:
        return self._bank(self.plan.K, self.plan.G, 0)

    def _bank(self, K: int, G: int, seed: int) -> tuple[Tensor, Tensor]:
        return table(*compress(self.references, K, G, seed))

    @torch.no_grad()
    def _assembled(self, assemble: Callable[[Tensor], Tensor]) -> tuple[float, float]:
        """Score at half resolution; `assemble` takes (P, d) features to (P, 3) RAW."""

        def picture(target: TrainingPicture) -> tuple[Tensor, Tensor, Tensor]:
            query = self.model.encoder(target.srgb[None], self.model.encoder.context(target.thumbnail[None]))
            raw, valid = target.half_resolution()
            return assemble(query).T.reshape(raw.shape), raw, valid

        return self._score(picture)

    def _network(self, run: Run) -> tuple[float, float]:
        assert run.network is not None
        config = NETWORKS[run.network][0]
        parts = [part for part in ("prior", "attention", "non_local") if getattr(config, part)]
        out = self.checkpoints / f"{'-'.join(parts) or 'srgb'}-{run.steps}-steps-seed-{run.seed}"
        train = TrainConfig(run.steps, warm_up=min(100, max(1, run.steps // 10)), seed=run.seed)
        about = self.about | {"K": run.K, "G": run.G}
        network = train_paper(self.folds, config, train, out, about)
        bank = self.network_bank
        return self._score(lambda p: (restore(self.model, network, p, *bank), p.raw, p.valid))

    def _score(self, predict: Callable[[TrainingPicture], tuple[Tensor, Tensor, Tensor]]) -> tuple[float, float]:
        """Mean PSNR and SSIM over the test pictures; `predict` gives predicted and true RAW (3, h, w) and validity."""
        scores = []
        for target in track(self.test, "measure"):
            predicted, raw, valid = (t.permute(1, 2, 0).numpy() for t in predict(target))
            try:
                scores.append(score(predicted, raw, valid[..., 0] > 0))
            except ValueError as error:
                raise InputError(f"a test picture cannot be scored ({error}); leave it out") from None
        return fmean(s.psnr for s in scores), fmean(s.ssim for s in scores)
