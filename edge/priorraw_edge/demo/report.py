"""report.html: one file, no script, pictures embedded, light and dark."""

import re
from html import escape
from pathlib import Path
from string import Template

import numpy as np
from priorraw.files import atomic_file

from priorraw_edge.demo import pictures
from priorraw_edge.demo.run import BundleResult, Demo, PairResult
from priorraw_edge.runtime.reconstruct import Reconstruction
from priorraw_edge.verify.report import comparison_rows

PUSH_STOPS = 1.0


def write_report(demo: Demo, path: Path) -> None:
    """Write the page that shows `demo`, whole or not at all."""
    page = Template((Path(__file__).parent / "report.html").read_text(encoding="utf-8"))
    text = page.substitute(
        verdict=_verdict(demo),
        summary=_summary(demo),
        photograph=_photograph(demo),
        pairs="".join(_pair(result, demo) for result in demo.pairs),
        bundles="".join(_bundle(bundle) for bundle in demo.bundles),
        weights=_weights(demo),
        run=_run(demo),
    )
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _verdict(demo: Demo) -> str:
    failed = [f"the {bundle.manifest['target']} bundle differs from PyTorch" for bundle in demo.bundles]
    failed = [line for line, bundle in zip(failed, demo.bundles, strict=True) if not bundle.report.passed]
    if not demo.dng.exact:
        failed.append(f"LibRaw reads other values from {demo.dng.name} than were written")
    if failed:
        return f'<p class="verdict fail">A check failed: {escape("; ".join(failed))}.</p>'
    return (
        '<p class="verdict pass">All checks passed: both bundles compute what PyTorch computes, within the bounds '
        "below, and LibRaw reads the DNG back exactly.</p><p>XNNPACK programs were run by ExecuTorch. Core ML runs on "
        "Apple's machines only: its packages were read back and interpreted operation by operation.</p>"
    )


def _summary(demo: Demo) -> str:
    height, width = demo.srgb.shape[:2]
    return (
        f"{escape(demo.photo)}, {width}×{height}, turned back into RAW of the camera {escape(demo.prior.camera)} by "
        f"the {escape(demo.bundles[0].manifest['target'])} bundle. The model saw the 8-bit picture and nothing else."
    )


def _photograph(demo: Demo) -> str:
    rebuilt, matrix = demo.rebuilt, demo.prior.color_matrix
    neutral = " : ".join(f"{value:.2f}" for value in rebuilt.neutral)
    notes = f'<p class="note">{escape("; ".join(demo.notes))}.</p>' if demo.notes else ""
    large = [
        _figure(pictures.jpeg_uri(demo.srgb), "Input", "8-bit sRGB, as a camera or phone hands it out."),
        _figure(
            pictures.jpeg_uri(pictures.develop(rebuilt.raw, rebuilt.neutral, matrix)),
            "Reconstructed RAW, developed",
            f"White balance, matrix and tone curve applied to the result; estimated neutral {neutral}.",
        ),
    ]
    small = [
        _figure(
            pictures.jpeg_uri(pictures.bare(rebuilt.raw)),
            "Reconstructed RAW, bare",
            "The sensor's own colours: no white balance, no matrix; gamma for the screen only.",
        ),
        _figure(
            pictures.jpeg_uri(demo.dng.developed),
            "The DNG in another program",
            "LibRaw opens the file and develops it by its own rules, without a tone curve.",
        ),
        _reliability(rebuilt),
    ]
    return f'{notes}<div class="grid two">{"".join(large)}</div><div class="grid">{"".join(small)}</div>'


def _mean(rebuilt: Reconstruction) -> float:
    return float(rebuilt.reliability.mean(dtype="float64"))


def _reliability(rebuilt: Reconstruction) -> str:
    return _figure(
        pictures.png_uri(pictures.reliability_colours(rebuilt.reliability)),
        "Reliability",
        f"How far each pixel may be off: 0.5 stands for 1 % of full scale, 0.9 for 0.1 %. Mean {_mean(rebuilt):.2f}.",
        _legend("reliability", "0, far off", "1, exact"),
    )


def _pushed(result: PairResult, matrix: np.ndarray) -> str:
    """The same change of exposure on the input, on the reconstruction and on the true RAW."""
    pair, rebuilt = result.pair, result.rebuilt
    true = pictures.develop(pair.raw, pair.illuminant, matrix, PUSH_STOPS)
    shown = {
        "The input, pushed": pictures.push(pair.srgb, PUSH_STOPS),
        "Reconstructed RAW, pushed": pictures.develop(rebuilt.raw, rebuilt.neutral, matrix, PUSH_STOPS),
        "True RAW, pushed": true,
    }
    captions = [
        f"On average {np.abs(p - true).mean() * 255:.1f} of 255 levels from the true one." for p in shown.values()
    ]
    captions[-1] = "What the camera would have given."
    figures = [_figure(pictures.jpeg_uri(shown[t]), t, c) for t, c in zip(shown, captions, strict=True)]
    return (
        f"<p>Exposure raised by {PUSH_STOPS:.0f} EV: light is multiplied. A picture that went through a tone curve is "
        "no longer light, so multiplying it burns and shifts colours; RAW is multiplied first and toned afterwards.</p>"
        f'<div class="grid">{"".join(figures)}</div>'
    )


def _pair(result: PairResult, demo: Demo) -> str:
    pair, matrix = result.pair, demo.prior.color_matrix
    # One scale for both maps, from the larger error, so that the eye may compare them.
    errors = [np.abs(raw - pair.raw).mean(-1) for raw in (result.rebuilt.raw, result.mean_light)]
    top = max(pictures.error_scale(error) for error in errors)
    bar = _legend("error", "0", f"{top:.2%} of white".replace(".00", ""))
    shown = [
        _figure(pictures.jpeg_uri(pair.srgb), "Input", "8-bit sRGB, all that the model is given."),
        _figure(
            pictures.jpeg_uri(pictures.develop(result.rebuilt.raw, pair.illuminant, matrix)),
            "Reconstructed RAW, developed",
            "Developed with the true light, so that an error of the light shows as a tint.",
        ),
        _figure(
            pictures.jpeg_uri(pictures.develop(pair.raw, pair.illuminant, matrix)),
            "True RAW, developed",
            "What was to be found.",
        ),
        _reliability(result.rebuilt),
        _figure(
            pictures.png_uri(pictures.error_colours(errors[0], top)),
            "Error of the reconstruction",
            "Mean absolute error over the three channels.",
            bar,
        ),
        _figure(
            pictures.png_uri(pictures.error_colours(errors[1], top)),
            "Error of the closed form, mean light",
            "The rendering inverted with the camera's average light: what one gets without a model.",
            bar,
        ),
    ]
    rows = [
        [name, f"{s.psnr:.2f}", f"{s.ssim:.4f}", _number(s.psnr_unclipped), _number(s.psnr_clipped)]
        for name, s in result.scores.items()
    ]
    header = ["raw-RGB, linear", "PSNR dB", "SSIM", "unclipped dB", "clipped dB"]
    return (
        f'<section class="pair"><h3>{escape(pair.name)}</h3><p class="note">{escape(pair.origin)}</p>'
        f'<div class="grid">{"".join(shown)}</div>{_table(header, rows, ours=0)}'
        f"<p>{_gain(result)} The estimated light is {result.light_error:.1f}° away from the true one. The closed form "
        "with the true light is told what no picture tells; what it then misses is what clipped.</p>"
        f"{_pushed(result, matrix)}</section>"
    )


def _gain(result: PairResult) -> str:
    """Ours against the closed form with the mean light, whichever is better."""
    gain = result.scores["reconstructed"].psnr - result.scores["closed form, mean light"].psnr
    word = "better" if gain >= 0 else "worse"
    return f"On this picture the model is {abs(gain):.1f} dB {word} than the closed form with the camera's mean light."


def _bundle(bundle: BundleResult) -> str:
    manifest, report = bundle.manifest, bundle.report
    parts = {name: _part(name) for name in manifest["bytes"]}
    sizes = [[parts[name], name, f"{size / 1024:,.0f}"] for name, size in manifest["bytes"].items()]
    sizes.append(["total", "", f"{sum(manifest['bytes'].values()) / 1024:,.0f}"])
    faults = "".join(f'<p class="verdict fail">{escape(fault)}</p>' for fault in report.faults)
    nodes = "; ".join(
        f"{name}: {d['delegated_nodes']} nodes in {d['delegates']} delegate(s), {d['left_nodes']} outside"
        for name, d in manifest["delegation"].items()
    )
    parity = "".join(_table(*comparison_rows(report, camera)) for camera in report.comparisons)
    return (
        f"<h3>{escape(manifest['target'])}, {escape(manifest['precision'])}, tiles of {manifest['tile']}</h3>"
        f"<p>{escape(nodes)}.</p>{_table(['what', 'file', 'KiB'], sizes)}{faults}{parity}"
    )


def _part(name: str) -> str:
    """What a file of a bundle is, in a word."""
    if name.startswith("banks/"):
        return "bank"
    if name.startswith("golden/"):
        return "self-test"
    if name.endswith("weight.bin"):
        return "weights"
    return "program" if name.endswith((".pte", ".mlmodel")) else "manifest"


def _weights(demo: Demo) -> str:
    model, bank = demo.prior.model, demo.prior.bank.info
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    parts = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return (
        f"<p>Model: {sum(counts.values()):,} parameters ({parts}). Bank: {bank.K:,} entries of {bank.d} features, each "
        f"the mean of {bank.G} of {bank.reference_pixels:,} reference pixels.</p>"
    )


def _run(demo: Demo) -> str:
    times = _table(["step", "seconds"], [[step, f"{value:.1f}"] for step, value in demo.seconds.items()])
    machine = _table(["machine", ""], [[key, value] for key, value in demo.machine.items()])
    return f'<div class="sides">{times}{machine}</div>'


def _figure(uri: str, title: str, caption: str, legend: str = "") -> str:
    return (
        f'<figure><img src="{uri}" alt="{escape(title)}">{legend}'
        f"<figcaption><b>{escape(title)}</b> {escape(caption)}</figcaption></figure>"
    )


def _legend(name: str, low: str, high: str) -> str:
    return (
        f'<div class="legend"><span>{escape(low)}</span><img src="{pictures.legend(name)}" alt="scale">'
        f"<span>{escape(high)}</span></div>"
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _table(header: list[str], rows: list[list[str]], ours: int | None = None) -> str:
    """Columns of numbers to the right; the row `ours` stands out."""
    right = [all(_is_number(row[i]) for row in rows) for i in range(len(header))]

    def line(tag: str, cells: list[str]) -> str:
        classes = [
            "number" if r else {"pass": "pass", "FAIL": "fail"}.get(c, "") for r, c in zip(right, cells, strict=True)
        ]
        return "".join(
            f"<{tag}{f' class={kind}' if kind else ''}>{escape(cell)}</{tag}>"
            for kind, cell in zip(classes, cells, strict=True)
        )

    body = "".join(f"<tr{' class=ours' if i == ours else ''}>{line('td', row)}</tr>" for i, row in enumerate(rows))
    head = line("th", header)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _is_number(text: str) -> bool:
    return text in ("", "equal") or re.fullmatch(r"[-+0-9.,e]+", text) is not None
