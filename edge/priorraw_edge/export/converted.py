"""What a conversion hands back to the bundle writer."""

from dataclasses import dataclass, field
from typing import Any

from priorraw_edge.export.delegation import Delegation


@dataclass(frozen=True)
class Converted:
    """Files by program, delegation by program, and what the target adds to bundle.json."""

    files: dict[str, str]
    delegation: dict[str, Delegation]
    extra: dict[str, Any] = field(default_factory=dict)
