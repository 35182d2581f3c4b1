"""The ablation: exact assembly against float64, its runs against `evaluate`, its table, resume, bad calls."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from priorraw import ablation, ablation_runs
from priorraw.ablation_rows import Plan, Run, bank_note, measured_rows, table
from priorraw.ablation_runs import Bench, assemble_from_all
from priorraw.assets import ENCODER_PARTS, Prior, save_part
from priorraw.bank import build_bank
from priorraw.dataset import PairDataset
from priorraw.evaluate import assembled
from priorraw.metrics import score
from priorraw.pictures import load_cameras, load_pictures
from priorraw.prepare import prepare
from samples import write_pack

PLAN = Plan(steps=3, seeds=(0, 1), network_seeds=(0,), K=32, G=4, entries=(5_000_000, 16), groups=(8, 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of four training and two test pictures, and an encoder."""
    folder = tmp_path_factory.mktemp("ablation")
    pack = write_pack(folder / "pack.npz", *tiny.unclipped_scenes(6))
    prepare([pack], folder / "data", {"train": 0.67, "test": 0.33}, camera=tiny.CAMERA)
    save_part(tiny.model(), ENCODER_PARTS, folder / "encoder.safetensors")
    return folder


@pytest.fixture(scope="module")
def bench(folder: Path) -> Bench:
    train, test = (load_cameras([folder / "data"], split)[0].pictures for split in ("train", "test"))
    assert (len(train), len(test)) == (4, 2)
    return Bench(tiny.model(), train, test, PLAN, folder / "checkpoints", {"encoder": "tiny"})


def softmax_mean(query: np.ndarray, features: np.ndarray, values: np.ndarray, scale: float) -> np.ndarray:
    logits = scale * query.astype(np.float64) @ features.astype(np.float64).T
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True) @ values.astype(np.float64)


@pytest.mark.parametrize("block", [1, 7, 100, 1000])
@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_assembly_from_all_is_the_plain_softmax(block, scale, monkeypatch):
    monkeypatch.setattr(ablation_runs, "BLOCK", block)
    random = np.random.default_rng(0)
    query, features = (random.standard_normal((n, 8)).astype(np.float32) for n in (40, 300))
    query /= np.linalg.norm(query, axis=1, keepdims=True)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    values = random.random((300, 3), np.float32)
    ours = assemble_from_all(torch.from_numpy(query), features, values, scale).numpy()
    assert np.abs(ours - softmax_mean(query, features, values, scale)).max() < 1e-5  # seen: 5.9e-7


def test_a_match_in_the_last_block_is_not_lost_to_underflow(monkeypatch):
    """By hand: exp(-200) is 0 in float32, so that weights relative to 1 would leave only the last reference."""
    monkeypatch.setattr(ablation_runs, "BLOCK", 2)
    query = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    features = np.array([[-1, 0], [-1, 0], [-1, 0], [1, 0]], np.float32)
    values = np.array([[0.2], [0.4], [0.6], [0.9]], np.float32)
    ours = assemble_from_all(query, features, values, 100.0)
    assert ours[:, 0].tolist() == pytest.approx([0.9, 0.4], abs=1e-6)


def test_the_reference_run_is_every_training_pixel(bench):
    """All test pictures against all training pictures at once, in float64."""
    figures = bench.measure(Run())
    model = tiny.model()
    scores = []
    features, values = [], []
    for p in bench.train:
        raw, valid = p.half_resolution()
        keep = valid.flatten() > 0
        features.append(model.encoder(p.srgb[None], model.encoder.context(p.thumbnail[None]))[keep].numpy())
        values.append(raw.flatten(1).T[keep].numpy())
    for p in bench.test:
        query = model.encoder(p.srgb[None], model.encoder.context(p.thumbnail[None])).numpy()
        raw, valid = p.half_resolution()
        scale = float(model.affinity.scale())
        predicted = softmax_mean(query, np.concatenate(features), np.concatenate(values), scale).reshape(32, 32, 3)
        scores.append(score(predicted, raw.permute(1, 2, 0).numpy(), valid[0].numpy() > 0))
    assert figures["psnr"] == pytest.approx(np.mean([s.psnr for s in scores]), abs=1e-3)  # seen: 2e-8
    assert figures["ssim"] == pytest.approx(np.mean([s.ssim for s in scores]), abs=1e-5)
    assert figures["note"] == f"{sum(map(len, features)):,} reference pixels"


def test_a_bank_run_is_what_evaluate_assembles(bench, folder):
    figures = bench.measure(Run(16, 4, seed=1))
    info = tiny.bank_info(K=16, G=4, d=0, seed=1)
    bank, _ = build_bank(tiny.model(), bench.train, info)
    prior = Prior(tiny.model(), bank, tiny.CAMERA, "", "", "")
    dataset = PairDataset.open(folder / "data", "test")
    scores = []
    for i, picture in enumerate(load_pictures(dataset)):
        raw, valid = (t.permute(1, 2, 0).numpy() for t in picture.half_resolution())
        scores.append(score(assembled(prior, dataset.pair(i)[1]), raw, valid[..., 0] > 0))
    assert figures["psnr"] == pytest.approx(np.mean([s.psnr for s in scores]), abs=1e-4)  # seen: 0
    assert figures["ssim"] == pytest.approx(np.mean([s.ssim for s in scores]), abs=1e-6)


def test_networks_differ_by_their_switches_and_are_trained_once(bench):
    plain, whole = (bench.measure(Run(32, 4, 0, name, 3)) for name in ("sRGB + U-Net", "+ non-local fusion"))
    assert 0 < abs(plain["psnr"] - whole["psnr"]) < 3  # three steps from the same mean; seen: 0.002
    assert whole == bench.measure(Run(32, 4, 0, "+ non-local fusion", 3))  # from its checkpoint
    kept = sorted(p.name for p in bench.checkpoints.iterdir())
    assert kept == ["prior-attention-non_local-3-steps-seed-0", "srgb-3-steps-seed-0"]


# --- rows and table -------------------------------------------------------------------------------------------


def figures(psnr: float | None, ssim: float | None = 0.9, note: str | None = None) -> dict:
    return {"psnr": psnr, "ssim": ssim, "seconds": 30.0, "note": note}


def test_every_run_is_done_once_and_a_seeds_networks_together():
    plan = Plan(steps=10)
    names = [run.name for run in plan.runs()]
    assert len(set(names)) == len(names) == 1 + 3 * (4 + 9 - 1) + 3 * 4
    assert names[0] == "references"
    assert [name[-6:] for name in names[-12:]] == ["seed=0"] * 4 + ["seed=1"] * 4 + ["seed=2"] * 4
    assert next(plan.rows()).paper == (44.32, 0.9935)


def test_mean_and_spread_over_seeds_by_hand():
    plan = Plan(steps=10, seeds=(0, 1), network_seeds=(0,), K=32, G=4, entries=(), groups=())
    runs = {f"bank K=32 G=4 seed={i}": figures(p, s, "few") for i, (p, s) in enumerate([(40, 0.9), (42, 0.96)])}
    runs["network + prior RAW, K=32 G=4 steps=10 seed=0"] = figures(45.678, 0.98765)
    rows = {row["name"]: row for row in measured_rows(plan, runs)}
    ours = rows["bank, K = 32, G = 4"]["ours"]
    assert (ours["psnr"], ours["ssim"], ours["seeds"]) == (41, pytest.approx(0.93), 2)
    assert ours["psnr_spread"] == pytest.approx(2**0.5)
    assert ours["ssim_spread"] == pytest.approx(0.06 / 2**0.5)
    assert rows["+ prior RAW"]["ours"]["psnr_spread"] is None
    assert rows["sRGB + U-Net"]["ours"] is None

    lines = table({"camera": "x", "rows": measured_rows(plan, runs)}).splitlines()
    assert "| bank, K = 32, G = 4 | 43.98 / 0.9932 | 41.00 ± 1.41 / 0.9300 ± 0.0424 | 2 | 1.0 | few |" in lines
    assert "| + prior RAW | 50.35 / 0.9970 | 45.68 / 0.9877 | 1 | 0.5 |  |" in lines
    assert "| sRGB + U-Net | 44.32 / 0.9831 |  |  | not yet run |  |" in lines
    assert len({line.count("|") for line in lines}) == 1


def test_a_bank_that_cannot_be_filled_is_a_note():
    assert bank_note(1000, 20, 5) is None
    assert bank_note(1000, 50, 5) == "20 reference pixels a centroid; k-means is advised 39"
    assert bank_note(1000, 1001, 5) == "1,000 reference pixels cannot fill it: not measured"
    assert bank_note(1000, 5, 1001) == "1,000 reference pixels cannot fill it: not measured"
    runs = {"bank K=99 G=4 seed=0": figures(None, None, "cannot")}
    plan = Plan(steps=1, seeds=(0,), K=32, G=4, entries=(99,), groups=())
    row = next(row for row in measured_rows(plan, runs) if row["name"] == "K = 99")
    assert row["ours"] is None and row["note"] == "cannot"


# --- the command ----------------------------------------------------------------------------------------------


def call(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    capsys.readouterr()
    try:
        ablation.main([str(a) for a in args])
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(scope="module")
def options(folder: Path) -> list[object]:
    page = folder / "page.md"
    page.write_text(f"# Title\n\n{ablation.START}\nold\n{ablation.END}\n\nRest.\n")
    options = [folder / "data", "--encoder", folder / "encoder.safetensors", "--page", page, "--json"]
    options += ["--out", folder / "out", "--runs", folder / "runs", "--steps", 3, "--seeds", "0", "--entries", 32]
    return [*options, "--group", 4]


@pytest.fixture(autouse=True)
def few_banks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's own rows hold banks that are slow to make."""
    monkeypatch.setattr(ablation, "Plan", lambda *args: replace(Plan(*args), entries=(5_000_000, 16), groups=(8, 2)))


def test_one_command_measures_all_and_goes_on_where_it_stopped(capsys, folder, options):
    code, printed, said = call(capsys, *options)
    assert code == 0, said
    document = json.loads(printed)
    path = folder / "out" / f"ablation-{tiny.CAMERA}.json"
    assert json.loads(path.read_text()) == document
    assert len(document["runs"]) == len(document["rows"]) == 1 + 1 + 2 + 2 + 4
    rows = {row["name"]: row for row in document["rows"]}
    assert rows["K = 5,000,000"]["ours"] is None and "cannot fill" in rows["K = 5,000,000"]["note"]
    assert all(row["ours"]["psnr"] > 5 for name, row in rows.items() if name != "K = 5,000,000")
    assert document["steps"] == 3 and document["torch"] == torch.__version__
    text = (folder / "page.md").read_text()
    assert text == f"# Title\n\n{ablation.START}\n{table(document)}\n{ablation.END}\n\nRest.\n"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bench, "measure", lambda *_: pytest.fail("measured again"))
        code, again, said = call(capsys, *options)
    assert code == 0 and "holds all runs already" in said
    assert json.loads(again) == document

    lost = "bank K=16 G=4 seed=0"
    path.write_text(json.dumps(document | {"runs": {k: v for k, v in document["runs"].items() if k != lost}}))
    code, third, said = call(capsys, *options)
    assert "run 1 of 1: bank K=16 G=4 seed=0" in said
    for run in (document["runs"][lost], found := json.loads(third)["runs"][lost]):
        run.pop("seconds")
    assert found == document["runs"][lost]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (["--encoder", "none.safetensors"], "none.safetensors: not found"),
        (["--page", "none.md"], "none.md: not readable"),
        (["--page", "{folder}/bare.md"], "bare.md: lacks the markers"),
        (["--seeds", "0,x"], "'0,x' is not a list such as 0,1,2"),
        (["--seeds", "-1"], "'-1' is not a list"),
        (["{folder}/nowhere"], "nowhere: no such folder"),
        (["{folder}/other"], "one camera; these datasets hold olympus-e-pl6, sony-slt-a57"),
        (["--out", "{folder}/foreign"], "holds results of another encoder or other pictures"),
        (["--out", "{folder}/broken"], "is no result of an ablation"),
    ],
)
def test_bad_calls_are_one_line(capsys, folder, options, change, line):
    (folder / "bare.md").write_text("# No markers\n")
    if not (folder / "other").exists():
        prepare([folder / "pack.npz"], folder / "other", {"train": 0.67, "test": 0.33}, camera="sony-slt-a57")
    for name, content in (("foreign", {"runs": {}, "camera": "x"}), ("broken", {})):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / f"ablation-{tiny.CAMERA}.json").write_text(json.dumps(content))
    code, printed, said = call(capsys, *options, *(part.format(folder=folder) for part in change))
    assert code == 2
    assert printed == ""
    assert line in said
    assert len(said.splitlines()) == 1
