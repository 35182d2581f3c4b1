"""The paper's own reconstructor: its switches, its start, the non-local algebra, its cross-fitted training."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
import torch.nn.functional as F
from priorraw import train_paper as stage
from priorraw.errors import InputError
from priorraw.paper import NonLocal, PaperConfig, PaperReconstructor
from priorraw.pictures import TrainingPicture, load_cameras
from priorraw.train import TrainConfig
from priorraw.train_paper import make_folds, mean_raw, restore, train_paper
from torch import Tensor, nn

PARTS = ("prior", "attention", "non_local")
MEAN = torch.tensor([0.1, 0.2, 0.05])
SHORT = TrainConfig(steps=12, learning_rate=3e-3, warm_up=2, checkpoint_every=4)


def network(seed: int = 0, **parts: bool) -> PaperReconstructor:
    """Random weights, also in the head that starts near zero, so that nothing hides behind a zero."""
    torch.manual_seed(seed)
    built = PaperReconstructor(PaperConfig(width=8, **parts), tiny.ENCODER_CONFIG.dim, MEAN).requires_grad_(False)
    nn.init.normal_(built.head.weight, std=0.2)
    return built


def inputs(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """sRGB, maps, keys and RAW."""
    torch.manual_seed(seed)
    keys, values, _ = tiny.bank().tensors()
    return torch.rand(1, 3, 32, 48), torch.rand(1, 6, 16, 24), keys, values[3:]


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("part", PARTS)
def test_each_switch_takes_parameters_away(part):
    whole, without = network(), network(**{part: False})
    gone = {
        "prior": whole.conv_prior.weight[:, 8:].numel(),  # the six planes of the maps
        "attention": count(whole.conv_confidence),
        "non_local": count(whole.non_local) + count(whole.fuse1) + count(whole.fuse0),
    }
    assert gone[part] > 0
    assert count(whole) - count(without) == gone[part]
    raw = without(*inputs())
    assert raw.shape == (1, 3, 32, 48)
    assert raw.min() > 0 and raw.max() < 1


def changed_by(built: PaperReconstructor) -> list[bool]:
    """Whether maps, keys and RAW of the bank change the result."""
    srgb, maps, keys, raw = inputs()
    before = built(srgb, maps, keys, raw)
    others = (srgb, 1 - maps, keys, raw), (srgb, maps, keys.roll(1, 1), raw), (srgb, maps, keys, 1 - raw)
    return [bool((built(*other) - before).abs().max() > 1e-5) for other in others]


@pytest.mark.parametrize(
    ("off", "changed"),
    [
        ((), [True, True, True]),
        (("non_local",), [True, False, False]),
        (("prior",), [False, True, True]),
        (("attention",), [True, True, True]),
        (("prior", "non_local"), [False, False, False]),
    ],
)
def test_each_part_reads_what_it_should(off, changed):
    assert changed_by(network(**dict.fromkeys(off, False))) == changed


def test_reliable_attention_can_shut_the_prior_out():
    built = network(non_local=False)
    nn.init.zeros_(built.conv_confidence.weight)
    nn.init.constant_(built.conv_confidence.bias, -50.0)
    assert changed_by(built)[0] is False
    nn.init.zeros_(built.conv_confidence.bias)
    assert changed_by(built)[0] is True


def test_a_fresh_network_answers_the_mean():
    torch.manual_seed(0)
    fresh = PaperReconstructor(PaperConfig(width=8), tiny.ENCODER_CONFIG.dim, MEAN)
    raw = fresh(*inputs())
    assert (raw - MEAN.view(1, 3, 1, 1)).abs().max() < 1e-3  # seen: 4e-4


def test_non_local_is_textbook_attention_with_folded_projections():
    """nn.MultiheadAttention with projections of query, key, value and output, against the query side alone.

    (Wq f) . (Wk k + bk) = (Wk' Wq f) . k + a constant per query, which the softmax drops; and the weights sum
    to 1, so that Wo (A (Wv v) + bv) + bo is linear in A v and moves into the FFN's first layer.
    """
    torch.manual_seed(0)
    width, dim, heads, K, P = 12, 8, 2, 64, 35
    ours = NonLocal(width, dim, heads).double()
    f_c = torch.randn(1, width, 5, 7, dtype=torch.float64)
    keys = F.normalize(torch.randn(K, dim, dtype=torch.float64), dim=1)
    raw = torch.rand(3, K, dtype=torch.float64)
    tokens = f_c.flatten(2)[0].T

    first, hidden_bias = torch.randn(2 * width, width, dtype=torch.float64), torch.randn(2 * width, dtype=torch.float64)
    fused = torch.zeros(P, width, dtype=torch.float64)
    columns, bias = [], hidden_bias
    for head in ours.heads:
        textbook = nn.MultiheadAttention(width, 1, kdim=dim, vdim=3, dtype=torch.float64)
        for parameter in textbook.parameters():
            nn.init.normal_(parameter)
        nn.init.zeros_(textbook.in_proj_bias[:width])
        Wq, Wk, Wv = textbook.q_proj_weight, textbook.k_proj_weight, textbook.v_proj_weight
        Wo, bv = textbook.out_proj.weight, textbook.in_proj_bias[2 * width :]
        folded = Wk.T @ Wq
        # Our queries are scaled to length 1 times a learnt sharpness, textbook ones by 1 / sqrt(width).
        lengths = torch.sqrt((tokens @ folded.T).square().sum(1, keepdim=True) + 1e-6)
        query = tokens * head.affinity.scale() * width**0.5 / lengths
        fused = fused + textbook(query, keys, raw.T, need_weights=False)[0]
        head.query.weight.data, head.query.bias.data = folded.data, torch.zeros(dim, dtype=torch.float64)
        columns.append(first @ Wo @ Wv)
        bias = bias + first @ (Wo @ bv + textbook.out_proj.bias)
    ours.ffn[0].weight.data, ours.ffn[0].bias.data = torch.cat(columns, 1).data, bias.data

    expected = ours.ffn[1:](fused @ first.T + hidden_bias)
    result = ours(f_c, keys, raw).flatten(2)[0].T
    assert expected.std() > 0.1
    assert (result - expected).abs().max() < 1e-9  # seen: 1.5e-14


# --- training -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingPicture]:
    return load_cameras([tiny.dataset(tmp_path_factory.mktemp("paper") / "d", 6)], "train")[0].pictures


@pytest.fixture(scope="module")
def folds(pictures: list[TrainingPicture]) -> list[stage.Fold]:
    return make_folds(tiny.model(), pictures, K=32, G=4, seed=0)


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The losses of the runs, in order."""
    seen: list[float] = []
    loss = stage.paper_loss

    def record(*arguments: Tensor) -> Tensor:
        value = loss(*arguments)
        seen.append(value.item())
        return value

    monkeypatch.setattr(stage, "paper_loss", record)
    return seen


def run(folds: list[stage.Fold], out: Path, config: TrainConfig = SHORT, **parts: bool) -> PaperReconstructor:
    return train_paper(folds, PaperConfig(width=8, **parts), config, out, {"encoder": "tiny"})


def assert_same(a: nn.Module, b: nn.Module) -> None:
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name]), name


@pytest.mark.parametrize("off", [PARTS, ()], ids=["srgb", "all"])
def test_training_lowers_the_loss(off, folds, losses, tmp_path):
    run(folds, tmp_path, replace(SHORT, steps=40, learning_rate=1e-2), **dict.fromkeys(off, False))
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])  # seen: 0.37 and 0.34


def test_an_interrupted_run_ends_with_the_weights_of_a_whole_one(folds, losses, tmp_path, monkeypatch):
    whole = run(folds, tmp_path / "whole")
    of_whole = losses.copy()
    losses.clear()
    loss = stage.paper_loss

    def stop(*arguments: Tensor) -> Tensor:
        if len(losses) == 10:
            raise KeyboardInterrupt
        return loss(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(stage, "paper_loss", stop)
        with pytest.raises(KeyboardInterrupt):
            run(folds, tmp_path / "parts")
    losses.clear()
    assert_same(whole, run(folds, tmp_path / "parts"))
    assert losses == of_whole[8:]  # went on from the checkpoint of step 8
    with pytest.raises(InputError, match="other settings"):
        run(folds, tmp_path / "parts", attention=False)


def test_restore_is_the_lookup_and_the_network(folds, pictures):
    model, built, fold = tiny.model(), network(), folds[0]
    target = pictures[0]
    features = model.encoder(target.srgb[None], model.encoder.context(target.thumbnail[None]))
    weights = (model.affinity.scale() * features @ fold.keys.T).softmax(1)
    assembled = (weights @ fold.values.T).T.view(6, 32, 32)
    maps = torch.cat([assembled[3:], (assembled[:3] - F.avg_pool2d(target.srgb, 2)).abs()])
    expected = built(target.srgb[None], maps[None], fold.keys, fold.values[3:])[0]
    assert (restore(model, built, target, fold.keys, fold.values) - expected).abs().max() < 1e-5  # seen: 0


def test_the_mean_leaves_masked_pixels_out():
    pictures = [tiny.flat_picture(0.2, 0), tiny.flat_picture(0.6, 1)]
    for picture in pictures:
        picture.valid[:, :, :32] = 0
        picture.raw[:, :, :32] = 0
    pictures[1].valid[:, 32:] = pictures[1].raw[:, 32:] = 0  # half the weight of the other
    assert mean_raw(pictures) == pytest.approx([(2 * 0.2 + 0.6) / 3] * 3, abs=1e-6)


def test_a_picture_never_meets_a_bank_with_its_own_pixels():
    """Even pictures are 0.2 everywhere, odd ones 0.8: the other half's RAW is all that a lookup may find."""
    pictures = [tiny.flat_picture(0.2 if i % 2 == 0 else 0.8, seed=i) for i in range(6)]
    folds = make_folds(tiny.model(), pictures, K=16, G=4, seed=0)
    assert len(folds) == 2
    for fold, own, other in zip(folds, (0.2, 0.8), (0.8, 0.2), strict=True):
        assert len(fold.crops) == 3
        assert all((crop.raw - own).abs().max() < 1e-6 for crop in fold.crops)
        assert (fold.values[3:] - other).abs().max() < 1e-5
        assert (fold.maps[:, :, :3].float() - other).abs().max() < 1e-3  # float16 keeps three digits


def test_maps_of_crops_are_what_the_model_looks_up():
    """Of a picture of 64x128, as it is and mirrored: the crop's map, mirrored, is the map of the mirrored crop."""
    wide = tiny.flat_picture(0.5, 0, side=128)
    wide = replace(wide, srgb=wide.srgb[:, :64], raw=wide.raw[:, :64], valid=wide.valid[:, :64])
    wide = replace(wide, thumbnail=torch.rand(3, 64, 64))
    model = tiny.model()
    fold = make_folds(model, [wide, tiny.flat_picture(0.5, 1), wide, tiny.flat_picture(0.5, 2)], 16, 4, 0)[0]
    assert len(fold.crops) == 4
    for m, axes in enumerate(stage.MIRRORS):
        context = model.encoder.context(wide.thumbnail.flip(axes)[None])
        maps, _ = model.lookup(wide.srgb.flip(axes)[None], context, fold.keys, fold.values)
        for i, left in enumerate((0, 32)):
            crop = maps[0].flip(axes)[..., left : left + 32].flip(axes)
            assert (fold.maps[m, i].float() - crop).abs().max() < 1e-3  # float16
            assert torch.equal(fold.crops[i].srgb, wide.srgb[..., 2 * left : 2 * left + 64])


@pytest.mark.parametrize(("count", "side", "line"), [(1, 64, "two pictures"), (2, 56, "is 56x56, the crops are 64x64")])
def test_pictures_that_cannot_be_trained_on_are_refused(count, side, line):
    with pytest.raises(InputError, match=line):
        make_folds(tiny.model(), [tiny.flat_picture(0.5, i, side) for i in range(count)], 16, 4, 0)
