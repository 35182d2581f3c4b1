"""report.html: what the demo made, to look at."""

from pathlib import Path

import numpy as np

from priorraw_edge.demo import pictures
from priorraw_edge.demo.run import BundleResult, Demo, PairResult
from priorraw_edge.report.page import Page, figure, grid, heading, paragraph, scale, table, verdict
from priorraw_edge.report.verification import parity_plot
from priorraw_edge.runtime.look import Look, adjust, develop
from priorraw_edge.runtime.reconstruct import Reconstruction
from priorraw_edge.verify.rows import comparison_rows

PUSHED = Look(exposure=1.0)


def write_report(demo: Demo, path: Path) -> None:
    """Write the page that shows `demo`, whole or not at all."""
    height, width = demo.srgb.shape[:2]
    page = Page(
        "From a picture back to RAW",
        f"{demo.photo}, {width}×{height}, turned back into RAW of the camera {demo.prior.camera} by the "
        f"{demo.bundles[0].manifest['target']} bundle. The model saw the 8-bit picture and nothing else.",
        "priorraw-edge demo",
    )
    page.add(*_verdict(demo))
    page.add(heading("The photograph"), *_photograph(demo))
    page.add(
        heading("Pictures whose RAW is known"),
        paragraph(
            "Only where the truth is known can an error be measured. PSNR and SSIM are taken on linear raw-RGB in "
            "[0, 1]. These pictures were rendered by this project's software ISP, as in training; a camera's own JPEG "
            "engine is farther from it."
        ),
    )
    for result in demo.pairs:
        page.add(*_pair(result, demo))
    page.add(heading("What runs on a device"), _weights(demo))
    for bundle in demo.bundles:
        page.add(*_bundle(bundle))
    page.add(heading("This run"), _run(demo))
    page.add(paragraph("The bundles, the DNG and the reliability map lie beside this page."))
    page.write(path)


def _verdict(demo: Demo) -> list[str]:
    failed = [
        f"the {bundle.manifest['target']} bundle differs from PyTorch"
        for bundle in demo.bundles
        if not bundle.report.passed
    ]
    if not demo.dng.exact:
        failed.append(f"LibRaw reads other values from {demo.dng.name} than were written")
    if failed:
        return [verdict(False, f"A check failed: {'; '.join(failed)}.")]
    return [
        verdict(
            True,
            "All checks passed: both bundles compute what PyTorch computes, within the bounds below, and LibRaw reads "
            "the DNG back exactly.",
        ),
        paragraph(
            "XNNPACK programs were run by ExecuTorch. Core ML runs on Apple's machines only: its packages were read "
            "back and interpreted operation by operation."
        ),
    ]


def _photograph(demo: Demo) -> list[str]:
    rebuilt, matrix = demo.rebuilt, demo.prior.color_matrix
    neutral = " : ".join(f"{value:.2f}" for value in rebuilt.neutral)
    notes = [paragraph(f"{'; '.join(demo.notes)}.", "note")] if demo.notes else []
    large = [
        figure(pictures.jpeg_uri(demo.srgb), "Input", "8-bit sRGB, as a camera or phone hands it out."),
        figure(
            pictures.jpeg_uri(develop(rebuilt.raw, rebuilt.neutral, matrix)),
            "Reconstructed RAW, developed",
            f"White balance, matrix and tone curve applied to the result; estimated neutral {neutral}.",
        ),
    ]
    small = [
        figure(
            pictures.jpeg_uri(pictures.bare(rebuilt.raw)),
            "Reconstructed RAW, bare",
            "The sensor's own colours: no white balance, no matrix; gamma for the screen only.",
        ),
        figure(
            pictures.jpeg_uri(demo.dng.developed),
            "The DNG in another program",
            "LibRaw opens the file and develops it by its own rules, without a tone curve.",
        ),
        _reliability(rebuilt),
    ]
    return [*notes, grid(large, "two"), grid(small)]


def _mean(rebuilt: Reconstruction) -> float:
    return float(rebuilt.reliability.mean(dtype="float64"))


def _reliability(rebuilt: Reconstruction) -> str:
    return figure(
        pictures.png_uri(pictures.reliability_colours(rebuilt.reliability)),
        "Reliability",
        f"How far each pixel may be off: 0.5 stands for 1 % of full scale, 0.9 for 0.1 %. Mean {_mean(rebuilt):.2f}.",
        scale(pictures.legend("reliability"), "0, far off", "1, exact"),
    )


def _pushed(result: PairResult, matrix: np.ndarray) -> list[str]:
    """The same change of exposure on the input, on the reconstruction and on the true RAW."""
    pair, rebuilt = result.pair, result.rebuilt
    true = develop(pair.raw, pair.illuminant, matrix, PUSHED)
    shown = {
        "The input, pushed": adjust(pair.srgb, PUSHED),
        "Reconstructed RAW, pushed": develop(rebuilt.raw, rebuilt.neutral, matrix, PUSHED),
        "True RAW, pushed": true,
    }
    captions = [
        f"On average {np.abs(p - true).mean() * 255:.1f} of 255 levels from the true one." for p in shown.values()
    ]
    captions[-1] = "What the camera would have given."
    figures = [figure(pictures.jpeg_uri(shown[t]), t, c) for t, c in zip(shown, captions, strict=True)]
    return [
        paragraph(
            f"Exposure raised by {PUSHED.exposure:.0f} EV: light is multiplied. A picture that went through a tone "
            "curve is no longer light, so multiplying it burns and shifts colours; RAW is multiplied first and toned "
            "afterwards."
        ),
        grid(figures),
    ]


def _pair(result: PairResult, demo: Demo) -> list[str]:
    pair, matrix = result.pair, demo.prior.color_matrix
    # One scale for both maps, from the larger error, so that the eye may compare them.
    errors = [np.abs(raw - pair.raw).mean(-1) for raw in (result.rebuilt.raw, result.mean_light)]
    top = max(pictures.error_scale(error) for error in errors)
    bar = scale(pictures.legend("error"), "0", f"{top:.2%} of white".replace(".00", ""))
    shown = [
        figure(pictures.jpeg_uri(pair.srgb), "Input", "8-bit sRGB, all that the model is given."),
        figure(
            pictures.jpeg_uri(develop(result.rebuilt.raw, pair.illuminant, matrix)),
            "Reconstructed RAW, developed",
            "Developed with the true light, so that an error of the light shows as a tint.",
        ),
        figure(
            pictures.jpeg_uri(develop(pair.raw, pair.illuminant, matrix)),
            "True RAW, developed",
            "What was to be found.",
        ),
        _reliability(result.rebuilt),
        figure(
            pictures.png_uri(pictures.error_colours(errors[0], top)),
            "Error of the reconstruction",
            "Mean absolute error over the three channels.",
            bar,
        ),
        figure(
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
    return [
        heading(pair.name, 3),
        paragraph(pair.origin, "note"),
        grid(shown),
        table(header, rows, ours=0),
        paragraph(
            f"{_gain(result)} The estimated light is {result.light_error:.1f}° away from the true one. The closed form "
            "with the true light is told what no picture tells; what it then misses is what clipped."
        ),
        *_pushed(result, matrix),
    ]


def _gain(result: PairResult) -> str:
    """Ours against the closed form with the mean light, whichever is better."""
    gain = result.scores["reconstructed"].psnr - result.scores["closed form, mean light"].psnr
    word = "better" if gain >= 0 else "worse"
    return f"On this picture the model is {abs(gain):.1f} dB {word} than the closed form with the camera's mean light."


def _bundle(bundle: BundleResult) -> list[str]:
    manifest, report = bundle.manifest, bundle.report
    parts = {name: _part(name) for name in manifest["bytes"]}
    sizes = [[parts[name], name, f"{size / 1024:,.0f}"] for name, size in manifest["bytes"].items()]
    sizes.append(["total", "", f"{sum(manifest['bytes'].values()) / 1024:,.0f}"])
    nodes = "; ".join(
        f"{name}: {d['delegated_nodes']} nodes in {d['delegates']} delegate(s), {d['left_nodes']} outside"
        for name, d in manifest["delegation"].items()
    )
    return [
        heading(f"{manifest['target']}, {manifest['precision']}, tiles of {manifest['tile']}", 3),
        paragraph(f"{nodes}."),
        table(["what", "file", "KiB"], sizes),
        *(verdict(False, fault) for fault in report.faults),
        *(table(*comparison_rows(report, camera)) for camera in report.comparisons),
        parity_plot(report),
    ]


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
    return paragraph(
        f"Model: {sum(counts.values()):,} parameters ({parts}). Bank: {bank.K:,} entries of {bank.d} features, each "
        f"the mean of {bank.G} of {bank.reference_pixels:,} reference pixels."
    )


def _run(demo: Demo) -> str:
    times = table(["step", "seconds"], [[step, f"{value:.1f}"] for step, value in demo.seconds.items()])
    machine = table(["machine", ""], [[key, value] for key, value in demo.machine.items()])
    return f'<div class="sides">{times}{machine}</div>'


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
