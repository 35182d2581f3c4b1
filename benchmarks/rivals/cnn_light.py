"""A small CNN that regresses the light from the thumbnail, then the closed-form inverse with it."""

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from priorraw.isp import gains_from_illuminant, unrender
from priorraw.pictures import thumbnail_of, to_tensor
from torch import Tensor, nn

from benchmarks.rivals.closed_form import illuminant_of, log_ratios
from benchmarks.rivals.rival import Budget, Fitting, Rival, Shot
from benchmarks.rivals.training import BATCH, train
from benchmarks.rivals.unet import count

MOST_STEPS = 2000


class LightNetwork(nn.Module):
    """(N, 3, 64, 64) sRGB to (N, 2) log gains in units of the training lights' spread around their mean."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 48, 72, 72)
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, stride=2, padding=1) for i, o in pairwise(widths))
        self.dropout = nn.Dropout(0.3)
        self.hidden = nn.Linear(72, 72)
        self.head = nn.Linear(72, 2)

    def forward(self, thumbnail: Tensor) -> Tensor:
        x = thumbnail - 0.5
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.head(F.relu(self.hidden(self.dropout(x.mean((2, 3))))))


class CnnLight(Rival):
    paper = "a CNN of 0.1 M parameters regresses the light from 64x64 pixels, then the closed-form inverse"
    learned = True

    def fit(self, shots: list[Shot], budget: Budget) -> Fitting:
        torch.manual_seed(budget.seed)
        self.network = LightNetwork()
        lights = np.stack([log_ratios(s.illuminant) for s in shots])
        self.mean, self.spread = lights.mean(0), np.maximum(lights.std(0), 0.02)
        targets = torch.from_numpy((lights - self.mean) / self.spread).float()
        thumbnails = torch.stack([to_tensor(thumbnail_of(s.srgb)) for s in shots])

        def loss_of(generator: torch.Generator) -> Tensor:
            chosen = torch.randint(len(shots), (BATCH,), generator=generator)
            mirror = torch.randint(2, (BATCH, 1, 1, 1), generator=generator).bool()
            batch = thumbnails[chosen]
            return F.smooth_l1_loss(self.network(torch.where(mirror, batch.flip(-1), batch)), targets[chosen])

        what = f"light network of {count(self.network):,} parameters"
        return train(self.network, loss_of, budget, what, weight_decay=1e-3, most_steps=MOST_STEPS)

    def predict(self, srgb: np.ndarray, metadata: bytes) -> np.ndarray:
        units = self.network(to_tensor(thumbnail_of(srgb))[None])[0].numpy()
        light = illuminant_of(self.mean + self.spread * units)
        return unrender(srgb, gains_from_illuminant(light), self.color_matrix)

    def parameters(self) -> int:
        return count(self.network) + 4
