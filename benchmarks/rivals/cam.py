"""Content-aware metadata: a network in the camera chooses which raw pixels to store, another fills in the rest.

Nam, Punnappurath, Brubaker, Brown, "Learning sRGB-to-Raw-RGB De-rendering with Content-Aware Metadata", 2022. A U-Net
sees RAW and sRGB and shares pixels out among superpixels; the pixel that belongs most to its own 8x8 cell is stored,
1.5625 % of them; a second U-Net makes RAW from sRGB, samples and their mask. Loss: L1 + superpixel term, Adam 1e-3.

Simplified:
- the choice of a pixel passes no gradient: the sampler learns from the superpixel term, the reconstructor from L1;
- the sampler is a U-Net of 0.48 M parameters, ours to choose; the reconstructor has the paper's size;
- the learning rate warms up and falls in a cosine, as for all rows here, and the head starts at the mean RAW;
- fine-tuning starts from these weights as they are.
"""

from copy import deepcopy
from functools import cache

import numpy as np
import torch
from priorraw.pictures import to_tensor
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.rivals import superpixels
from benchmarks.rivals.rival import Budget, Fitting, Rival, Shot
from benchmarks.rivals.superpixels import CELL
from benchmarks.rivals.training import Crops, train
from benchmarks.rivals.unet import UNet, count, padded, start_at_mean

SUPERPIXEL_WEIGHT = 0.1  # brings it near L1, since gradients are clipped together; Adam takes no notice
FINE_TUNING_STEPS = 10
FINE_TUNING_RATE = 1e-4


def sampler_network() -> UNet:
    """RAW and sRGB (N, 6, H, W) to the logits of nine cells."""
    return UNet(6, 9, width=16, levels=4)


def reconstructor_network() -> UNet:
    """sRGB, samples and their mask (N, 7, H, W) to logits of RAW."""
    return UNet(7, 3, width=32, levels=5)


class Cam(Rival):
    paper = "CAM (Nam et al. 2022): learned choice of 1/64 of the raw pixels, U-Net fills in the rest"
    learned = True
    blind = False

    def fit(self, shots: list[Shot], budget: Budget) -> Fitting:
        torch.manual_seed(budget.seed)
        self.sampler, self.reconstructor = sampler_network(), reconstructor_network()
        start_at_mean(self.reconstructor, shots)
        crops = Crops(shots)

        def loss_of(generator: torch.Generator) -> Tensor:
            srgb, raw, valid = crops.draw(generator)
            pictures = torch.cat([raw, srgb], 1)
            weights = superpixels.association(self.sampler(pictures - 0.5))
            with torch.no_grad():
                mask = superpixels.mask_of_places(choose(weights, valid), *raw.shape[2:]) * valid
            predicted = self.restore(srgb, raw * mask, mask)
            l1 = ((predicted - raw) * valid).abs().sum() / (3 * valid.sum()).clamp(min=1)
            return l1 + SUPERPIXEL_WEIGHT * superpixels.superpixel_loss(weights, pictures)

        what = f"CAM, sampler of {count(self.sampler):,} and reconstructor of {count(self.reconstructor):,} parameters"
        networks = torch.nn.ModuleList([self.sampler, self.reconstructor])
        return train(networks, loss_of, budget, what)

    def restore(self, srgb: Tensor, samples: Tensor, mask: Tensor) -> Tensor:
        """RAW (N, 3, H, W) from sRGB, samples (0 elsewhere) and their mask (N, 1, H, W)."""
        return torch.sigmoid(self.reconstructor(torch.cat([srgb - 0.5, samples, mask], 1)))

    def record(self, shot: Shot) -> bytes:
        """A byte of place for each cell, row by row, then the RAW there in 16 bits a channel."""
        H, W = shot.raw.shape[:2]
        srgb, raw = to_tensor(shot.srgb)[None], to_tensor(shot.raw)[None]
        logits = self.sampler(padded(torch.cat([raw, srgb], 1), self.sampler.stride) - 0.5)
        weights = superpixels.association(logits)[..., :H, :W]
        places = choose(weights, raw.any(1, keepdim=True).float())[0].numpy()
        rows, columns = _pixels(places)
        return places.astype("u1").tobytes() + np.rint(shot.raw[rows, columns] * 65535).astype("<u2").tobytes()

    def predict(self, srgb: np.ndarray, metadata: bytes) -> np.ndarray:
        H, W = srgb.shape[:2]
        samples, mask = _scatter(metadata, H, W)
        planes = [padded(t[None], self.reconstructor.stride) for t in (to_tensor(srgb), samples, mask)]
        planes[1][..., H:, :] = planes[2][..., H:, :] = 0  # padding holds no samples
        planes[1][..., W:] = planes[2][..., W:] = 0
        return self._raw(*planes)[0, :, :H, :W].permute(1, 2, 0).numpy()

    def _raw(self, srgb: Tensor, samples: Tensor, mask: Tensor) -> Tensor:
        return self.restore(srgb, samples, mask)

    def parameters(self) -> int:
        return count(self.sampler, self.reconstructor)

    def metadata_bytes(self, H: int, W: int) -> int:
        return 7 * -(-H // CELL) * -(-W // CELL)

    def camera_flops(self, H: int, W: int) -> float:
        return _sampler_flops(H, W)


class FineTunedCam(Cam):
    paper = "CAM, its reconstructor fine-tuned for 10 steps on the samples of each picture, Adam 1e-4"

    def adopt(self, trained: Cam) -> None:
        """Take over the networks of a row that was trained alike."""
        self.sampler, self.reconstructor = trained.sampler, trained.reconstructor

    def _raw(self, srgb: Tensor, samples: Tensor, mask: Tensor) -> Tensor:
        tuned = FineTunedCam(self.color_matrix)
        tuned.sampler, tuned.reconstructor = self.sampler, deepcopy(self.reconstructor).requires_grad_(True)
        optimizer = torch.optim.Adam(tuned.reconstructor.parameters(), lr=FINE_TUNING_RATE)
        for _ in range(FINE_TUNING_STEPS):
            optimizer.zero_grad()
            error = (tuned.restore(srgb, samples, mask) - samples) * mask
            (error.abs().sum() / (3 * mask.sum()).clamp(min=1)).backward()
            optimizer.step()
        with torch.no_grad():
            return tuned.restore(srgb, samples, mask)


def choose(weights: Tensor, valid: Tensor) -> Tensor:
    """Places (N, h, w) of the samples from associations (N, 9, H, W); a masked pixel only in a masked cell."""
    return superpixels.pick(weights[:, superpixels.OWN : superpixels.OWN + 1] - (1 - valid))


def _pixels(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (h, w) in the picture of places in the cells."""
    i, j = np.mgrid[: places.shape[0], : places.shape[1]]
    return i * CELL + places // CELL, j * CELL + places % CELL


def _scatter(metadata: bytes, H: int, W: int) -> tuple[Tensor, Tensor]:
    """The metadata as pictures: samples (3, H, W), 0 elsewhere, and their mask (1, H, W)."""
    h, w = -(-H // CELL), -(-W // CELL)
    places = np.frombuffer(metadata, "u1", h * w).reshape(h, w).astype(int)
    values = np.frombuffer(metadata, "<u2", offset=h * w).reshape(h, w, 3).astype(np.float32) / 65535
    rows, columns = _pixels(places)
    samples, mask = np.zeros((H, W, 3), np.float32), np.zeros((H, W, 1), np.float32)
    samples[rows, columns] = values
    mask[rows, columns] = values.any(-1, keepdims=True)  # a masked pixel is no sample
    return to_tensor(samples), to_tensor(mask)


@cache
def _sampler_flops(H: int, W: int) -> float:
    """Convolutions of the sampler, counted by torch on shapes alone."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        sampler = sampler_network()
        sampler(padded(torch.empty(1, 6, H, W), sampler.stride))
    return float(counter.get_total_flops())
