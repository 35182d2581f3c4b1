"""The benchmark's own logic: rows, medians, ratios, work, children that answer, fail and die. Nothing is timed."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from priorraw.errors import InputError
from priorraw.model import ModelConfig, PriorRAW
from priorraw_edge.bench import counting, machine, prepare, run, table
from priorraw_edge.bench.child import Child, SkippedRowError
from priorraw_edge.bench.figures import AIMS, ratio, ratio_figures, row_figures, share_figures
from priorraw_edge.bench.rows import EXACT, OURS, Row, all_rows, default_bundle
from priorraw_edge.bench.run import Settings, bench, choose

ORDER = {"threads": 1}
ROW = Row("here", "ours", OURS, "eager", "model", tile=512)


def answering(*lines: str, code: int = 0) -> list[str]:
    """A process that prints these lines, one for each that it reads after the first, and then ends."""
    script = (
        "import sys\nlines = sys.argv[1:-1]\nprint(lines[0], flush=True)\n"
        "for line in lines[1:]:\n    sys.stdin.readline()\n    print(line, flush=True)\n"
        f"sys.stdin.readline()\nprint('last words', file=sys.stderr)\nsys.exit({code})\n"
    )
    return [sys.executable, "-c", script, *lines]


def test_ratio_is_taken_within_rounds():
    """The machine is three times slower in the second round: each ratio is 10 all the same."""
    assert ratio([20.0, 60.0, 30.0], [2.0, 6.0, 1.0]) == {"ratio": 10.0, "least": 10.0, "most": 30.0}


def test_figures_of_a_row_by_hand():
    """2 megapixels in 4, 2 and 8 seconds: a median of 2 s/MP; 40 GFLOP in 4 s are 10 GFLOP/s."""
    limits = {"rate": 40e9, "copy": 4e9}
    found = row_figures([4.0, 2.0, 8.0], [6.0, 6.0, 6.0], 2_000_000, 40e9, 8e9, limits)
    assert (found["seconds"], found["seconds_range"], found["cpu_seconds"]) == (2.0, [1.0, 4.0], 3.0)
    assert (found["gflop"], found["gigabytes"], found["gflops"]) == (20.0, 4.0, 10.0)
    assert found["share_of_gemm"] == 0.25
    assert (found["roof"], found["share_of_roof"]) == (20.0, 0.5)  # 5 FLOP per byte at 4 GB/s
    dark = row_figures([4.0], [4.0], 2_000_000, 40e9, 8e9, {"rate": None, "copy": 4e9})
    assert dark["share_of_gemm"] is dark["roof"] is dark["share_of_roof"] is None


def test_ratios_count_for_the_default_bundle_alone():
    rows = {
        name: {"seconds_rounds": [value, value]}
        for name, value in ((default_bundle(), 1.0), ("bundle:other", 0.5), ("exact-eager", 99.0), ("exact-onnx", 15.0))
    }
    found = {(r["slow"], r["fast"]): r for r in ratio_figures(rows, ["bundle:other"])}
    assert len(found) == 2 * len(AIMS)
    assert found["exact-eager", default_bundle()]["met"] is False and found["exact-eager", default_bundle()]["counts"]
    assert found["exact-onnx", default_bundle()]["met"] is True  # 15 and at least 15
    assert found["exact-eager", "bundle:other"]["ratio"] == 198.0 and not found["exact-eager", "bundle:other"]["counts"]
    missing = found["cam-unet", default_bundle()]
    assert missing["met"] is None and missing["why"] == "not measured: cam-unet"


def test_share_of_the_convolutions():
    (found,) = share_figures({"xnnpack-fp32-convolutions": {"share_of_gemm": 0.49}})
    assert (found["met"], found["share"]) == (False, 0.49)
    (found,) = share_figures({})
    assert found["met"] is None and "not measured" in found["why"]


def test_rows_have_names_of_their_own_and_what_the_aims_name():
    names = [row.name for row in all_rows()]
    assert len(set(names)) == len(names)
    assert {default_bundle(), *(name for name, _ in AIMS), "xnnpack-fp32-convolutions"} <= set(names)
    assert all((row.tile is None) != (row.side is None) for row in all_rows())


def test_choose_keeps_the_order_and_refuses_unknown_names():
    assert [row.name for row in choose(["flow", "exact-eager", "flow"], [])] == ["flow", "exact-eager"]
    assert [row.name for row in choose([], [])] == [row.name for row in all_rows()]
    with pytest.raises(InputError, match=r"no row 'fast'; take xnnpack-int8-256, "):
        choose(["fast"], [])
    with pytest.raises(InputError, match="no bundle"):
        choose([], [Path(__file__).parent])


def hand_count(network: torch.nn.Module, *inputs: torch.Tensor) -> int:
    """FLOPs of the convolutions from the shapes that hooks see, apart from torch's own counter."""
    total = 0

    def add(layer, given, out):
        nonlocal total
        kernel = layer.kernel_size[0] * layer.kernel_size[1]
        total += 2 * kernel * layer.in_channels // layer.groups * layer.out_channels * out.shape[2:].numel()

    hooks = [m.register_forward_hook(add) for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    network(*inputs)
    for hook in hooks:
        hook.remove()
    return total


def test_work_of_a_tile_and_its_convolutions():
    reconstructor = PriorRAW(ModelConfig()).reconstructor
    expected = hand_count(reconstructor, torch.rand(1, 3, 64, 64), torch.rand(1, 9))
    expected += 2 * reconstructor.white.weight.numel()  # all else that is counted in a tile is a convolution
    assert counting.work_of("tile", 64).flops == expected
    assert counting.work_of("convolutions", 64).flops == expected


def test_convolutions_are_those_of_the_reconstructor():
    from priorraw_edge.bench.convolutions import Convolutions

    torch.manual_seed(0)
    reconstructor = PriorRAW(ModelConfig()).eval().reconstructor
    torch.nn.init.normal_(reconstructor.head.spread.weight)
    seen = {}
    for name, layer in {"stem": reconstructor.stem, "head": reconstructor.head}.items():
        layer.register_forward_hook(lambda _, given, out, name=name: seen.update({name: (given[0], out)}))
    with torch.no_grad():
        reconstructor(torch.rand(1, 3, 64, 64), torch.full((1, 9), 1 / 3))
        assert torch.equal(Convolutions(reconstructor)(seen["stem"][0]), seen["head"][1])


def test_work_of_the_exact_method_grows_with_the_bank(monkeypatch):
    """Each half-resolution pixel meets each entry in the lookup (d + 6) and in two heads (d + 3 each)."""
    with_5000 = counting.work_of("exact", 64).flops
    monkeypatch.setattr(counting, "K", 4000)
    with_4000 = counting.count(lambda: counting.WORKS["exact"](64)).flops
    d = ModelConfig().encoder.dim
    assert with_5000 - with_4000 == 32 * 32 * 1000 * 2 * ((d + 6) + 2 * (d + 3))


def test_elements_of_one_product():
    work = counting.count(lambda: lambda: torch.empty(10, 3) @ torch.empty(3, 5))
    assert (work.flops, work.elements) == (2 * 10 * 3 * 5, 10 * 3 + 3 * 5 + 10 * 5)


def test_work_of_a_row_counts_halos_and_the_scene_once():
    tile, scene = counting.work_of("tile", 512), counting.work_of_scene()
    found = run.work_of_row(ROW, 6)
    assert found == tile.times(6).plus(scene)
    assert found.flops == 6 * tile.flops + scene.flops


def test_flow_inverts():
    from benchmarks.flow import Flow

    torch.manual_seed(0)
    flow = Flow().double()
    x = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        y = flow(x)
        assert (y - x).abs().max() > 0.1  # 2.1 seen
        assert (flow.inverse(y) - x).abs().max() < 1e-12  # 1.1e-15 seen


def test_child_answers():
    child = Child(ORDER, answering('{"ready": {"pixels": 4}}', '{"seconds": 1.5}', '{"peak_rss": 7}'))
    assert child.ready == {"pixels": 4}
    assert child.run() == {"seconds": 1.5}
    assert child.end() == {"peak_rss": 7}


def test_child_that_cannot_run_says_why():
    with pytest.raises(SkippedRowError, match=r"^no such thing here$"):
        Child(ORDER, answering('{"skipped": "no such thing here"}'))


def test_child_that_dies_is_reported_with_its_last_words():
    child = Child(ORDER, answering('{"ready": {}}', code=3))
    with pytest.raises(SkippedRowError, match=r"^its process ended with code 3: last words$"):
        child.run()
    child.kill()
    with pytest.raises(SkippedRowError, match="code 1: ModuleNotFoundError"):
        Child(ORDER, [sys.executable, "-c", "import nothing_of_this_name"])


class FakeChild:
    """Runs nothing: seconds by name, and the order of the calls."""

    calls: list[str]

    def __init__(self, name: str, seconds: float, dies: bool = False):
        self.name, self.seconds, self.dies = name, seconds, dies
        self.ready = {"pixels": 1_000_000, "tiles": 6}

    def run(self) -> dict[str, float]:
        self.calls.append(self.name)
        if self.dies and self.calls.count(self.name) == 2:
            raise SkippedRowError("died")
        return {"seconds": self.seconds, "cpu_seconds": self.seconds}

    def end(self) -> dict[str, int]:
        return {"peak_rss": 300_000_000}

    def kill(self) -> None:
        self.calls.append(f"{self.name} killed")


@pytest.fixture
def result(monkeypatch) -> dict:
    """Four rows in two rounds: one does not start, one dies in the second round."""
    monkeypatch.setattr(run, "LIMITS", {"fp32": lambda: 100e9, "int8": lambda: _no_int8(), "copy": lambda: 10e9})
    monkeypatch.setattr(run, "prepare", lambda *_: None)
    monkeypatch.setattr(run, "PAUSE", 0)
    monkeypatch.setattr(run, "why_not", lambda row: "not today" if row.name == "absent" else None)
    FakeChild.calls = []
    children = iter([FakeChild("fast", 2.0), FakeChild("dying", 1.0, dies=True), FakeChild("slow", 50.0)])
    rows = [
        replace(ROW, name=default_bundle(), label="fast", build="bundle"),
        replace(ROW, name="absent"),
        replace(ROW, name="dying"),
        Row("exact-eager", "slow", EXACT, "exact", "exact", side=64),
    ]
    return bench(rows, Settings(megapixels=1, rounds=2, threads=torch.get_num_threads()), lambda _: next(children))


def _no_int8() -> float:
    raise RuntimeError("no int8 here\nat length")


def test_rounds_are_interleaved_and_failures_stay_in_their_row(result):
    assert FakeChild.calls == ["fast", "dying", "slow", "fast", "dying", "dying killed", "slow"]
    rows = result["rows"]
    assert (rows["absent"]["skipped"], rows["dying"]["skipped"]) == ("not today", "died")
    assert rows["exact-eager"]["seconds"] == 50.0 and rows[default_bundle()]["peak_rss"] == 300_000_000
    assert result["limits"]["int8"] is None and result["limits"]["int8_missing"] == "no int8 here"
    (exact,) = (r for r in result["ratios"] if r["slow"] == "exact-eager")
    assert exact["ratio"] == 25.0 and exact["met"] is False


def test_result_is_json_with_everything_that_a_reader_needs(result):
    loaded = json.loads(json.dumps(result))
    assert loaded == result
    needed = {"format", "machine", "threads", "versions", "settings", "load", "warnings", "limits", "work", "rows"}
    assert needed | {"ratios", "shares"} == loaded.keys()
    ran = {"label", "of", "precision", "part", "pixels", "tiles", "peak_rss", "seconds", "seconds_range"}
    ran |= {"seconds_rounds", "cpu_seconds", "gflop", "gigabytes", "gflops", "share_of_gemm", "roof", "share_of_roof"}
    assert loaded["rows"]["exact-eager"].keys() == ran
    assert loaded["work"]["tile_gflop_per_megapixel"] * 512**2 == pytest.approx(
        counting.work_of("tile", 512).flops / 1e3
    )


def test_tables_of_a_result(result):
    header, lines = table.rows_table(result)
    assert [len(line) for line in lines] == [len(header)] * 4
    assert [line[2] for line in lines[:2]] == ["not measured: not today", "not measured: died"]
    assert [line[0] for line in table.terminal_table(result)[1]] == [default_bundle(), "exact-eager"]
    assert table.skipped_lines(result) == ["absent: not measured, not today", "dying: not measured, died"]
    header, lines = table.ratios_table(result)
    assert [default_bundle() + " (default bundle)", "exact-eager", "25.0 (25.0 to 25.0)", "at least 100", "no"] in lines
    assert ["matrix product, int8 (torch._int_mm)", "not measured: no int8 here"] in table.limits_table(result)[1]


def test_company_is_warned_of():
    assert machine.warnings([0.1, 0, 0], 0.01) == [] == machine.warnings([0.1, 0, 0], None)
    busy, others = machine.warnings([1.5, 0, 0], 0.4)
    assert "load average 1.50" in busy and "40% of the processors' time" in others


def test_company_leaves_out_what_is_ones_own(monkeypatch):
    readings = iter([(100.0, 40.0), (120.0, 55.0)])  # 20 s pass on all processors, 15 of them busy
    monkeypatch.setattr(machine.Company, "_read", staticmethod(lambda: next(readings)))
    assert machine.Company().others_share(own_seconds=10.0) == 0.25


def test_fingerprint_follows_weights_and_camera(tmp_path):
    weights = tmp_path / "shared" / "encoder.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"one")
    first = prepare.fingerprint(tmp_path, "a", ("numpy",))
    assert first == prepare.fingerprint(tmp_path, "a", ("numpy",)) != prepare.fingerprint(tmp_path, "b", ("numpy",))
    weights.write_bytes(b"two")
    assert prepare.fingerprint(tmp_path, "a", ("numpy",)) != first


def test_bundle_that_cannot_be_made_is_a_row_that_does_not_run(monkeypatch, tmp_path):
    monkeypatch.setattr(prepare, "BUILD", tmp_path)
    monkeypatch.setattr(prepare, "CLI", "import sys; sys.exit('chatter\\npriorraw-edge: the cure')")
    row = next(row for row in all_rows() if row.name == default_bundle())
    with pytest.raises(SkippedRowError, match=r"^the cure$"):
        prepare.prepare(row, "sony-imx135", None, {})


def test_command_refuses_in_one_line(cli):
    for arguments, words in (
        (["--rows", "fast"], "no row 'fast'"),
        (["--camera", "nikon-d40"], "nikon-d40"),
        (["--threads", "1000"], "take no more"),
        (["--bundle", "no-such-folder"], "no bundle"),
    ):
        code, out, err = cli("bench", *arguments)
        assert (code, out) == (2, "") and words in err and len(err.splitlines()) == 1


def test_command_measures_a_row(cli, monkeypatch, tmp_path):
    """The whole way, with the shipped model: a child in PyTorch, one tile."""
    monkeypatch.setattr(run, "LIMITS", {"fp32": lambda: 1e9, "int8": lambda: 1e9, "copy": lambda: 1e9})
    out = tmp_path / "bench.json"
    sizes = ("--megapixels", "0.01", "--rounds", "1", "--threads", "1")
    code, printed, _ = cli("bench", "--rows", "eager-512", *sizes, "--out", out, "--json")
    document = json.loads(printed)
    row = document["rows"]["eager-512"]
    assert code == 0 and document == json.loads(out.read_text())
    assert (row["pixels"], row["tiles"]) == (128 * 80, 1)  # nearest to 0.01 MP with sides of 16
    assert row["seconds"] > 0 and row["peak_rss"] > 50e6  # 500 MB seen
    assert all(r["met"] is None for r in document["ratios"])
