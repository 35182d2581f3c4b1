"""The tables of docs/cameras.md, and what they say in words, from benchmarks/results/cameras.json."""

from typing import Any

import numpy as np
from priorraw.results import markdown_table

FEW = (10, 20, 50, 100)  # files: fewer scenes of 64x64 pixels do not fill 5,000 entries


def four_ways(table: dict[str, Any]) -> str:
    """The four-way table, with what lies around it."""
    head = [
        "camera held out (files, test pictures)",
        "closed form, mean light",
        "(a) another camera's bank: best to worst",
        "its lights, another's entries",
        "**(b) own bank, no training**",
        "(c) own bank, `--adapt`",
        "trained with it, same budget",
        "(d) trained with it, full budget",
        "(b) hinted",
        "(d) hinted",
    ]
    rows = []
    for camera, row in table.items():
        wrong, entries = (sorted(row[key].values(), reverse=True) for key in ("wrong", "wrong_entries"))
        same = row.get("trained_same_budget")
        rows.append(
            [
                f"{camera} ({row['files']}, {row['pictures']})",
                f"{row['mean_light']:.2f}",
                " / ".join(f"{v:.2f}" for v in wrong),
                " / ".join(f"{v:.2f}" for v in entries),
                f"**{row['own']:.2f}**",
                f"{row['adapted']:.2f}",
                f"{same:.2f}" if same else "",
                f"{row['trained']:.2f}",
                f"{row['own_hinted']:.2f}",
                f"{row['trained_hinted']:.2f}",
            ]
        )
    return markdown_table(head, rows)


def in_words(table: dict[str, Any]) -> str:
    """What (b) reaches, said plainly, from the figures."""

    def over(of: str, base: str) -> str:
        steps = [row[of] - value for row in table.values() if (value := _figure(row, base)) is not None]
        return f"{min(steps):+.1f} to {max(steps):+.1f} dB" if steps else "not measured"

    own = [row["own"] for row in table.values()]
    return (
        "**Said plainly:** with its own bank and no training, a camera that the model has never met reaches "
        f"{min(own):.1f} to {max(own):.1f} dB blind. Against the closed form with the camera's mean light that is "
        f"{over('own', 'mean_light')}; against the best other camera's bank {over('own', 'wrong')}; against the "
        f"same bank's matrix and lights with the best other camera's entries {over('own', 'wrong_entries')}; "
        f"against a model trained with the camera at the same budget {over('own', 'trained_same_budget')}, at the "
        f"full one {over('own', 'trained')}. "
        f"`--adapt` changes it by {over('adapted', 'own')}. Hinted, where the light is given, (b) against (d) is "
        f"{over('own_hinted', 'trained_hinted')}."
    )


def _figure(row: dict[str, Any], name: str) -> float | None:
    value = row.get(name)
    return max(value.values()) if isinstance(value, dict) else value


def over_files(table: dict[str, Any]) -> str:
    """PSNR over the number of files: as it is, adapted, and closed form; mean of the draws, and the least."""
    head = ["camera held out", "", *(f"{n} files" for n in FEW), "all"]
    rows = []
    measured = {camera: row for camera, row in table.items() if "few" in row}
    if not measured:
        return "*Not measured:* `python -m benchmarks.cameras --files`."
    for camera, row in measured.items():
        for figure, title in (("mean_light", "closed form"), ("own", "own bank"), ("adapted", "own bank, adapted")):
            cells = [row["few"][str(n)][figure] if str(n) in row["few"] else [] for n in FEW]
            every = f"{row['few_test']['own']:.2f}" if figure == "own" else ""
            texts = [f"{np.mean(c):.2f} ({min(c):.2f})" if c else "" for c in cells]
            rows.append([camera if figure == "mean_light" else "", title, *texts, every])
    return markdown_table(head, rows)
