"""Engines: PyTorch in tiles against the model on the whole picture; an ExecuTorch bundle against PyTorch."""

import hashlib

import numpy as np
import pytest
import skimage.data
import torch
from priorraw import isp
from priorraw.assets import Prior
from priorraw.bank import Bank
from priorraw.bank_info import BankInfo
from priorraw.cameras import color_matrix
from priorraw.errors import InputError
from priorraw.files import read_json
from priorraw.model import ModelConfig, PriorRAW, hint_scene, scene_transform
from priorraw_edge.runtime.engine import BundleEngine, EagerEngine, open_engine, to_nchw
from priorraw_edge.runtime.manifest import write_manifest
from priorraw_edge.runtime.reconstruct import reconstruct
from safetensors.numpy import save_file
from torch import nn

PHOTO = skimage.data.chelsea().astype(np.float32) / 255  # (300, 451, 3)
T = 32


def untrained_prior() -> Prior:
    """The real model with random weights and a bank of 64 random entries."""
    torch.manual_seed(0)
    config = ModelConfig()
    random = np.random.default_rng(0)
    keys = random.standard_normal((64, config.encoder.dim)).astype(np.float32)
    bank = Bank(
        keys=keys / np.linalg.norm(keys, axis=1, keepdims=True),
        raw=random.random((64, 3), np.float32),
        srgb=random.random((64, 3), np.float32),
        info=BankInfo(
            camera="sony-imx135",
            encoder_sha256="",
            K=64,
            G=1,
            seed=0,
            color_matrix=color_matrix("sony-imx135").flatten().tolist(),
            camera_vector=[1.0, 0, 0, 0, 1, 0, 0, 0, 1, -0.5, -0.5, 0.2, 0.2],
        ),
    )
    return Prior(PriorRAW(config).eval().requires_grad_(False), bank, "sony-imx135", "", "", "")


def test_eager_tiles_equal_the_model_on_the_whole_picture():
    prior = untrained_prior()
    picture = PHOTO[:270, :330]
    whole_raw, whole_reliability = prior(picture)
    result = reconstruct(picture, EagerEngine(prior, tile_size=192))
    # Equal but for the order of summation, which differs between processors. Seen: 0.
    assert np.abs(result.raw - whole_raw).max() < 1e-5
    assert np.abs(result.reliability - whole_reliability).max() < 1e-5
    assert np.ptp(whole_raw) > 0.01  # the comparison is not of constants


def test_a_known_light_replaces_the_matrix_of_the_scene():
    """It becomes the inverse of the rendering under that light."""
    prior = untrained_prior()
    engine = EagerEngine(prior, tile_size=192)
    scene = engine.scene(PHOTO[:64, :64])
    neutral = np.array([0.45, 1, 0.7])
    told = engine.with_light(scene, np.log(neutral[[0, 2]]).astype(np.float32))
    matrix = scene_transform(torch.from_numpy(told)).numpy().reshape(3, 3)
    gains = isp.gains_from_illuminant(neutral)
    vector = np.array(prior.bank.info.camera_vector[:9]).reshape(3, 3)
    assert np.abs(matrix - vector / gains[:, None]).max() < 1e-6  # seen: 1e-8
    assert np.abs(engine.with_light(told, np.zeros(2, np.float32)) - told).max() > 0.1
    assert told.shape == scene.shape and (told != scene).any()


# --- bundles --------------------------------------------------------------------------------------------------


class Scene(nn.Module):
    def forward(self, thumbnail: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        return thumbnail.mean((2, 3)) @ keys


class Tile(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, tile: torch.Tensor, scene: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = torch.sigmoid(self.conv(tile) + scene.view(1, 4, 1, 1))
        return out[:, :3], out[:, 3:]


KEYS = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
BANK = {"keys": KEYS, "values": np.ones((6, 3), np.float32), "camera": np.arange(13, dtype=np.float32)[None]}
ENTRY = {"file": "bank.safetensors", "color_matrix": color_matrix("sony-imx135").flatten().tolist()}


@pytest.fixture(scope="module")
def programs() -> dict[str, bytes]:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    examples = {
        "scene": (Scene().eval(), (torch.rand(1, 3, 64, 64), torch.rand(3, 4))),
        "tile": (Tile().eval(), (torch.rand(1, 3, T, T), torch.rand(1, 4))),
    }
    lowered = {}
    for name, (module, inputs) in examples.items():
        exported = torch.export.export(module, inputs)
        lowered[name] = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch().buffer
    return lowered


@pytest.fixture
def bundle(programs, tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name, data in programs.items():
        (folder / f"{name}.pte").write_bytes(data)
    save_file(BANK, folder / "bank.safetensors")
    (folder / "golden.safetensors").write_bytes(b"golden")

    def entry(name, *inputs):
        return {"file": f"{name}.pte", "inputs": [{"name": n, "shape": s} for n, s in inputs], "outputs": []}

    files = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}
    manifest = {
        "format": 4,
        "target": "xnnpack",
        "runs": "executorch",
        "camera": "sony-imx135",
        "tile": T,
        "halo": 8,
        "align": 8,
        "precision": "fp32",
        "programs": {
            "scene": entry("scene", ("thumbnail", [1, 3, 64, 64]), ("keys", [3, 4])),
            "tile": entry("tile", ("tile", [1, 3, T, T]), ("scene", [1, 4])),
        },
        "banks": {"sony-imx135": ENTRY},
        "files": files,
        "bytes": {name: (folder / name).stat().st_size for name in files},
    }
    write_manifest(folder, manifest)
    return folder


def change(bundle, **values) -> None:
    write_manifest(bundle, read_json(bundle / "bundle.json") | values)


def test_a_bundle_computes_what_pytorch_computes(bundle):
    engine = BundleEngine(bundle)
    tile = Tile().eval()
    thumbnail = PHOTO[:64, :64]
    scene = engine.scene(thumbnail)
    expected = Scene()(torch.from_numpy(to_nchw(thumbnail)), torch.from_numpy(KEYS))
    assert np.abs(scene - expected.numpy()).max() < 1e-5  # seen: 1.6e-6

    first = [part.copy() for part in engine.tile(PHOTO[:T, :T], scene)]
    inputs = {"tile": to_nchw(PHOTO[:T, :T]), "scene": scene}
    kept = engine.run("tile", inputs)[0]
    engine.tile(PHOTO[T : 2 * T, :T], scene)
    assert (kept[0].transpose(1, 2, 0) == first[0]).all()  # a later tile does not write into what `run` returned
    with torch.inference_mode():
        raw, reliability = tile(torch.from_numpy(to_nchw(PHOTO[:T, :T])), torch.from_numpy(scene))
    assert np.abs(first[0] - raw[0].permute(1, 2, 0).numpy()).max() < 1e-6  # seen: 1.2e-7
    assert np.abs(first[1] - reliability[0, 0].numpy()).max() < 1e-6
    # A transposed view, whose memory is laid out otherwise, gives the same.
    turned = np.ascontiguousarray(PHOTO[:T, :T].swapaxes(0, 1)).swapaxes(0, 1)
    assert (engine.tile(turned, scene)[0] == first[0]).all()


def test_a_bundle_reconstructs_a_picture(bundle):
    result = reconstruct(PHOTO[:50, :70], BundleEngine(bundle))
    assert result.raw.shape == (50, 70, 3)
    assert result.camera == "sony-imx135"


def test_a_bundle_takes_a_known_light(bundle):
    """With the camera's vector that its bank holds."""
    scene, light = np.zeros((1, 12), np.float32), np.log(np.array([0.5, 0.8], np.float32))
    expected = hint_scene(*map(torch.from_numpy, (scene, light[None], BANK["camera"]))).numpy()
    told = BundleEngine(bundle).with_light(scene, light)
    assert np.array_equal(told, expected) and told.any()


def test_wrong_inputs_are_named(bundle):
    engine = BundleEngine(bundle)
    with pytest.raises(ValueError, match="input scene is missing"):
        engine.run("tile", {"tile": np.zeros((1, 3, T, T), np.float32)})
    with pytest.raises(ValueError, match="input thumbnail is"):
        engine.scene(np.zeros((32, 32, 3), np.float32))


@pytest.mark.parametrize("name", ["scene.pte", "tile.pte", "bank.safetensors", "golden.safetensors"])
def test_an_altered_or_missing_file_is_refused(bundle, name):
    data = bytearray((bundle / name).read_bytes())
    data[-1] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name}: differs from the sha256"):
        BundleEngine(bundle)
    (bundle / name).unlink()
    with pytest.raises(InputError, match=f"{name}: missing"):
        BundleEngine(bundle)


def test_a_program_that_is_none_is_refused_though_its_hash_is_right(bundle):
    (bundle / "tile.pte").write_bytes(b"no program" * 20)
    manifest = read_json(bundle / "bundle.json")
    hashes = manifest["files"] | {"tile.pte": hashlib.sha256(b"no program" * 20).hexdigest()}
    change(bundle, files=hashes, bytes=manifest["bytes"] | {"tile.pte": 200})
    with pytest.raises(InputError, match=r"tile\.pte: ExecuTorch does not load it"):
        BundleEngine(bundle)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"format": 1}, "format 1"),
        ({"target": "coreml", "runs": "mil"}, "target coreml does not run here"),
        ({"programs": {}}, "incomplete .KeyError: 'scene'"),
        ({"programs": []}, "incomplete"),
        ({"banks": {"sony-imx135": ENTRY | {"color_matrix": [1, 2]}}}, "incomplete"),
        ({"banks": None}, "incomplete"),
        ({"files": {}}, "lists no sha256"),
        ({"banks": {"sony-imx135": ENTRY | {"file": "../bank.safetensors"}}}, "outside the bundle"),
        ({"banks": {}}, "camera 'sony-imx135' is unknown"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(bundle, values, line):
    change(bundle, **values)
    with pytest.raises(InputError, match=line):
        BundleEngine(bundle)


def test_opening_by_name(bundle, tmp_path):
    assert open_engine(bundle=bundle).camera == "sony-imx135"
    with pytest.raises(InputError, match="known: sony-imx135; put it in with: priorraw-edge bundle add-bank"):
        open_engine("olympus-e-pl6", bundle=bundle)
    with pytest.raises(InputError, match=r"holds no bundle\.json"):
        open_engine(bundle=tmp_path)
