"""The result as tables: header and rows of words, for a terminal and for a page."""

from typing import Any

from priorraw_edge.bench.rows import all_rows

Table = tuple[list[str], list[list[str]]]


def ordered(result: dict[str, Any]) -> dict[str, Any]:
    """The rows in the order of the registry, those of bundles that were named first: JSON has them by name."""
    place = {row.name: i for i, row in enumerate(all_rows())}
    return dict(sorted(result["rows"].items(), key=lambda item: place.get(item[0], -1)))


def rows_table(result: dict[str, Any]) -> Table:
    """Every row: time, memory and work a megapixel, and its share of the machine's limit."""
    header = ["method", "run by", "picture", "s / MP", "range", "peak RSS, MB", "GFLOP / MP", "GFLOP/s"]
    header += ["of GEMM", "of roofline"]
    lines = []
    for row in ordered(result).values():
        if "skipped" in row:
            lines.append([row["of"], row["label"], f"not measured: {row['skipped']}", *[""] * 7])
            continue
        least, most = row["seconds_range"]
        lines.append(
            [
                row["of"],
                row["label"],
                f"{row['pixels'] / 1e6:.2f} MP" + (f", {row['tiles']} tiles" if row["tiles"] else ""),
                seconds(row["seconds"]),
                f"{seconds(least)} to {seconds(most)}",
                f"{row['peak_rss'] / 1e6:,.0f}",
                f"{row['gflop']:,.0f}",
                f"{row['gflops']:,.0f}",
                percent(row["share_of_gemm"]),
                percent(row["share_of_roof"]),
            ]
        )
    return header, lines


def terminal_table(result: dict[str, Any]) -> Table:
    """The rows that ran, by the names that --rows takes, in columns that fit a terminal."""
    header = ["row", "MP", "s / MP", "RSS, MB", "GFLOP / MP", "GFLOP/s", "of GEMM"]
    lines = [
        [
            name,
            f"{row['pixels'] / 1e6:.2f}",
            seconds(row["seconds"]),
            f"{row['peak_rss'] / 1e6:,.0f}",
            f"{row['gflop']:,.0f}",
            f"{row['gflops']:,.0f}",
            percent(row["share_of_gemm"]),
        ]
        for name, row in ordered(result).items()
        if "skipped" not in row
    ]
    return header, lines


def skipped_lines(result: dict[str, Any]) -> list[str]:
    """The rows that did not run, and why."""
    rows = ordered(result).items()
    return [f"{name}: not measured, {row['skipped']}" for name, row in rows if "skipped" in row]


def ratios_table(result: dict[str, Any], *, labelled: bool = False) -> Table:
    """The ratios and shares that are aimed at, and whether they are reached; rows by their labels or names."""
    labels = {name: f"{row['of']}, {row['label']}" for name, row in result["rows"].items()} if labelled else {}
    lines = []
    for r in result["ratios"]:
        if not r["counts"] and r["met"] is None:
            continue
        who = f"{labels.get(r['fast'], r['fast'])}{' (default bundle)' if r['counts'] else ''}"
        found = r.get("why") or f"{r['ratio']:.1f} ({r['least']:.1f} to {r['most']:.1f})"
        aim = f"at least {r['at_least']:.0f}" if r["counts"] else ""
        lines.append([who, labels.get(r["slow"], r["slow"]), found, aim, verdict(r["met"]) if r["counts"] else ""])
    for s in result["shares"]:
        found = s.get("why") or percent(s["share"])
        aim = f"at least {s['at_least']:.0%}"
        lines.append([labels.get(s["row"], s["row"]), "fp32 matrix product", found, aim, verdict(s["met"])])
    return ["what", "against", "times faster; share", "aim", "reached"], lines


def limits_table(result: dict[str, Any]) -> Table:
    """The measured limits of the machine."""
    limits = result["limits"]
    lines = []
    for name, what, unit in (
        ("fp32", "matrix product, fp32 (torch.mm)", "GFLOP/s"),
        ("int8", "matrix product, int8 (torch._int_mm)", "GOP/s"),
        ("copy", "copy, read and written", "GB/s"),
    ):
        value = limits[name]
        lines.append([what, f"{value / 1e9:,.0f} {unit}" if value else f"not measured: {limits[f'{name}_missing']}"])
    return ["limit", "measured"], lines


SIZE_AIMS = {"programs": 2.0, "bank": 0.8, "whole": 4.0}  # MB, of an int8 bundle


def sizes_table(result: dict[str, Any]) -> Table:
    """What the bundles weigh; the aims are for int8."""
    header = ["bundle", *(f"{what}, MB (int8 at most {aim:g})" for what, aim in SIZE_AIMS.items())]
    rows = [row for row in ordered(result).values() if "bytes" in row]
    return header, [[row["label"], *(f"{row['bytes'][what] / 1e6:.2f}" for what in SIZE_AIMS)] for row in rows]


def machine_lines(result: dict[str, Any]) -> list[str]:
    """Where it was measured, in words; warnings last."""
    m, v = result["machine"], result["versions"]
    versions = ", ".join(f"{name} {version}" for name, version in v.items() if version and name != "priorraw-edge")
    return [
        f"{m['processor']}, {m['architecture']}, {m['cores']} cores, {', '.join(m['simd']) or 'no SIMD known'}; "
        f"{result['threads']} threads; {m['system']}",
        versions,
        f"load average {result['load']['before'][0]:.2f} before; medians of {result['settings']['rounds']} rounds",
        *(f"warning: {line}" for line in result["warnings"]),
    ]


def seconds(value: float) -> str:
    """Three digits."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def verdict(met: bool | None) -> str:
    return {True: "yes", False: "no", None: ""}[met]
