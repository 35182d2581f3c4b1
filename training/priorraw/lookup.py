"""The affinity: softmax over inner products with the bank, and what it assembles."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_LOGIT_SCALE = 50.0  # fp16 logits keep 67 dB at 50 and lose 5 dB more at 100
CHUNK_TOKENS = 2048  # rows of the affinity at a time: 41 MB at K = 5,000 instead of 330 MB for a 256-pixel tile


class Affinity(nn.Module):
    """A learnable, capped sharpness: affinity = softmax(scale * query . keys)."""

    def __init__(self, initial_scale: float = 20.0):
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(initial_scale)))

    def scale(self) -> Tensor:
        return self.log_scale.clamp(max=math.log(MAX_LOGIT_SCALE)).exp()

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """(P, d) unit queries and (K, d) keys to (P, K) weights that sum to 1."""
        return F.linear(query * self.scale(), keys).softmax(-1)

    def assemble(self, query: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted mean of the values, and the affinity's peak.

        Args:
            query: (P, d) unit features.
            keys: (K, d) unit features of the bank.
            values: (C, K), one column a bank entry.

        Returns:
            (P, C) assembled values and (P, 1) peaks in (0, 1].
        """
        assembled, peaks = [], []
        for start in range(0, len(query), CHUNK_TOKENS):  # slices: XNNPACK leaves split out
            affinity = self(query[start : start + CHUNK_TOKENS], keys)
            assembled.append(F.linear(affinity, values))
            peaks.append(affinity.max(-1, keepdim=True)[0])
        if len(peaks) == 1:  # XNNPACK leaves a concatenation of one out
            return assembled[0], peaks[0]
        return torch.cat(assembled), torch.cat(peaks)
