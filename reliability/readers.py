"""Everything that reads a file of somebody else's, and small sound files for each to start from."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reliability import mutate
from reliability.mutate import Mutator

BYTES: tuple[Mutator, ...] = (mutate.damage_bytes,)
JSON: tuple[Mutator, ...] = (mutate.damage_json,)
TENSORS: tuple[Mutator, ...] = (mutate.damage_bytes, mutate.mended_safetensors, mutate.mended_safetensors)
PNG: tuple[Mutator, ...] = (mutate.damage_bytes, mutate.mended_png, mutate.mended_png)


@dataclass(frozen=True)
class Reader:
    """One reader: what it reads is a folder, in which one file at a time is damaged.

    `make` writes the sound files and returns those to damage, with how. `read` gets the folder and the name of the
    damaged file; it must return, or raise InputError with one line.
    """

    name: str
    make: Callable[[Path], dict[str, tuple[Mutator, ...]]]
    read: Callable[[Path, str], None]
    share: int = 1  # of the inputs


def photograph(folder: Path, name: str) -> None:
    """What the decoder's process does with a photograph."""
    from priorraw_edge.runtime.decoder import spool_rows
    from priorraw_edge.runtime.exif import read_facts
    from priorraw_edge.runtime.hint import read_hint

    with Path(os.devnull).open("wb") as spool:
        spool_rows(folder / name, spool.fileno())
        read_hint(folder / name)
        read_facts(folder / name)


def make_photographs(folder: Path) -> dict[str, tuple[Mutator, ...]]:
    import imagecodecs
    import numpy as np
    import tifffile
    from PIL import Image
    from skimage.data import coffee

    photo = np.asarray(coffee()[100:148, 200:264])
    image = Image.fromarray(photo)
    image.save(folder / "a.jpg", quality=90)
    image.save(folder / "progressive.jpg", progressive=True, quality=70)
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.save(folder / "a.png")
    image.convert("P", colors=16).save(folder / "palette.png", transparency=3)
    image.convert("1").save(folder / "bits.png")
    Image.fromarray(np.dstack([photo, photo[..., 0]])).save(folder / "alpha.png")
    (folder / "deep.png").write_bytes(imagecodecs.png_encode(photo.astype(np.uint16) * 257))
    for name, options in (
        ("strips.tif", {"rowsperstrip": 16}),
        ("tiles.tif", {"tile": (16, 16), "compression": "deflate", "predictor": True}),
        ("lzw.tif", {"compression": "lzw"}),
        ("jpeg.tif", {"compression": "jpeg"}),
        ("planes.tif", {"planarconfig": "separate"}),
    ):
        picture = np.moveaxis(photo, -1, 0) if name == "planes.tif" else photo
        tifffile.imwrite(folder / name, picture, photometric="rgb", **options)
    tifffile.imwrite(folder / "float.tif", photo.astype(np.float32) / 255, photometric="rgb")
    return {p.name: PNG if p.suffix == ".png" else BYTES for p in folder.iterdir()}


def make_exif(folder: Path) -> dict[str, tuple[Mutator, ...]]:
    """Photographs with the EXIF of each maker whose notes are read; the damage is in that block, sizes are right."""
    import numpy as np
    from PIL import Image
    from test_exif import block
    from test_hint import CAMERAS, exif

    def with_exif(block: bytes) -> bytes:
        from io import BytesIO

        out = BytesIO()
        Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(out, "JPEG", exif=block[:65_000])
        return out.getvalue()

    blocks = {name: b"Exif\0\0" + exif(*camera[:4]) for name, camera in CAMERAS.items()}
    blocks["full"] = block().tobytes()
    for name, made in blocks.items():
        (folder / f"{name}.jpg").write_bytes(with_exif(made))
    lookup = {with_exif(made): made for made in blocks.values()}

    def damage(draw, data: bytes) -> bytes:
        made = lookup[data]
        return with_exif(made[:6] + mutate.damage_bytes(draw, made[6:]))

    return {f"{name}.jpg": (damage,) for name in blocks}


def make_icc(folder: Path) -> dict[str, tuple[Mutator, ...]]:
    """Pictures with profiles of each kind; the damage is in the profile."""
    import numpy as np
    from PIL import Image, ImageCms
    from priorraw_edge.runtime.icc import adobe_rgb_profile
    from test_icc import cmyk_profile

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    kinds = {
        "srgb.png": ("RGB", srgb), "adobe.png": ("RGB", adobe_rgb_profile()), "lab.png": ("RGB", lab),
        "grey.png": ("L", srgb), "cmyk.jpg": ("CMYK", cmyk_profile()), "adobe.jpg": ("RGB", adobe_rgb_profile()),
    }  # fmt: skip

    def with_profile(mode: str, profile: bytes, suffix: str) -> bytes:
        from io import BytesIO

        out = BytesIO()
        kind = {".png": "PNG", ".jpg": "JPEG"}[suffix]
        Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).convert(mode).save(out, kind, icc_profile=profile)
        return out.getvalue()

    places: dict[str, tuple[Mutator, ...]] = {}
    for name, (mode, profile) in kinds.items():
        suffix = Path(name).suffix
        (folder / name).write_bytes(with_profile(mode, profile, suffix))

        def damage(draw, data: bytes, mode=mode, profile=profile, suffix=suffix) -> bytes:
            return with_profile(mode, mutate.damage_bytes(draw, profile), suffix)

        places[name] = (damage,)
    return places


def camera_file(folder: Path, name: str) -> None:
    from priorraw import raw_decoder
    from priorraw.raw_io import read_camera_file

    raw_decoder.preview(folder / name)
    read_camera_file(folder / name, decode=raw_decoder.mosaic)  # here and not apart: this is a child already


def make_camera_files(folder: Path) -> dict[str, tuple[Mutator, ...]]:
    import numpy as np
    from samples import D65_MATRIX, write_dng

    cfa = np.random.default_rng(0).integers(300, 60_000, (48, 64)).astype(np.uint16)
    write_dng(folder / "a.dng", cfa, black=256, white=65000)
    write_dng(folder / "b.dng", cfa[:40], "GBRG", matrices={17: D65_MATRIX, 21: D65_MATRIX})
    return {"a.dng": BYTES, "b.dng": BYTES}


def source(folder: Path, name: str) -> None:
    """All scenes of a pack or of a folder of PNG."""
    from priorraw.errors import InputError
    from priorraw.sources import open_source

    for scene in open_source(folder / name if name.endswith(".npz") else folder).scenes():
        if isinstance(scene, InputError):
            raise scene


def make_pack(folder: Path) -> dict[str, tuple[Mutator, ...]]:
    from samples import scenes, write_pack

    write_pack(folder / "a.npz", *scenes(3))
    return {"a.npz": (mutate.damage_bytes, mutate.mended_zip, mutate.mended_zip)}


def make_png_folder(folder: Path) -> dict[str, tuple[Mutator, ...]]:
    from samples import scenes, write_png16

    raw, lights = scenes(2)
    for i in range(2):
        write_png16(folder / f"s{i}.png", raw[i])
    (folder / "s0.json").write_text(f'{{"illuminant_color_raw": {lights[0].tolist()}}}')
    (folder / "all.csv").write_text("image,mean_r,mean_g,mean_b\ns1,0.5,1,0.6\n")
    return {"s0.png": PNG, "s0.json": JSON, "all.csv": BYTES}


def dataset(folder: Path, name: str) -> None:
    from priorraw.dataset import PairDataset

    pairs = PairDataset.open(folder, "train")
    for i in range(len(pairs)):
        pairs.pair(i)


def make_dataset(folder: Path) -> dict[str, tuple[Mutator, ...]]:
    import shutil

    from priorraw.prepare import prepare
    from samples import scenes, write_pack

    pack = write_pack(folder.parent / "pack.npz", *scenes(2))
    shutil.rmtree(folder)
    prepare([pack], folder, {"train": 1.0}, camera="olympus-e-pl6")
    first = "train/{}/scene_000.png"
    return {"dataset.json": JSON, first.format("raw"): PNG, first.format("srgb"): PNG}


def bank(folder: Path, name: str) -> None:
    from priorraw.bank import Bank

    Bank.load(folder / name)


def make_bank(folder: Path) -> dict[str, tuple[Mutator, ...]]:
    import tiny

    tiny.bank().save(folder / "bank.safetensors")
    return {"bank.safetensors": TENSORS}


def model_part(folder: Path, name: str) -> None:
    from priorraw.assets import load_model, load_reconstructor

    load_model([folder / "encoder.safetensors", folder / "reconstructor.safetensors"])
    if name == "reconstructor.safetensors":
        load_reconstructor(folder / name)


def make_parts(folder: Path) -> dict[str, tuple[Mutator, ...]]:
    import tiny
    from priorraw.assets import ENCODER_PARTS, RECONSTRUCTOR_PARTS, save_part

    save_part(tiny.model(), ENCODER_PARTS, folder / "encoder.safetensors")
    save_part(tiny.model(), RECONSTRUCTOR_PARTS, folder / "reconstructor.safetensors")
    return {"encoder.safetensors": TENSORS, "reconstructor.safetensors": TENSORS}


def checkpoint(folder: Path, name: str) -> None:
    import torch
    from priorraw.checkpoint import load_checkpoint

    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    average = {k: v.clone() for k, v in model.state_dict().items()}
    load_checkpoint(folder / name, model, average, torch.optim.AdamW(model.parameters()), {"steps": 3})


def make_checkpoint(folder: Path) -> dict[str, tuple[Mutator, ...]]:
    import torch
    from priorraw.checkpoint import save_checkpoint

    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    optimizer = torch.optim.AdamW(model.parameters())
    state = optimizer.state_dict()
    moments = {i: {k: torch.zeros_like(p) for k in ("exp_avg", "exp_avg_sq")} for i, p in enumerate(model.parameters())}
    optimizer.load_state_dict(state | {"state": {i: m | {"step": torch.tensor(3.0)} for i, m in moments.items()}})
    average = {name: value.clone() for name, value in model.state_dict().items()}
    save_checkpoint(folder / "checkpoint.safetensors", model, average, optimizer, 3, {"steps": 3})
    return {"checkpoint.safetensors": TENSORS}


def assets(folder: Path, name: str) -> None:
    from priorraw.assets import load_assets

    load_assets("olympus-e-pl6", folder)


def make_assets(folder: Path) -> dict[str, tuple[Mutator, ...]]:
    import tiny

    tiny.assets(folder)
    files = [p.relative_to(folder).as_posix() for p in folder.rglob("*.safetensors")]
    return {"olympus-e-pl6/asset.json": JSON} | dict.fromkeys(files, BYTES)


def bundle(folder: Path, name: str) -> None:
    from priorraw_edge.runtime.engine import BundleEngine
    from priorraw_edge.verify.verify import read_bundle

    with no_programs():
        read_bundle(folder)
        BundleEngine(folder)


@contextmanager
def no_programs() -> Iterator[None]:
    """Programs whose hashes are right are not given to ExecuTorch: a program is code, whoever sealed the bundle."""
    from priorraw_edge.runtime import executorch

    loaded, executorch.Program = executorch.Program, lambda *_: None  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        executorch.Program = loaded  # type: ignore[misc]


def make_bundle(folder: Path) -> dict[str, tuple[Mutator, ...]]:
    """A bundle of the right shape with nothing in its programs."""
    import json

    import numpy as np
    import tiny
    from priorraw.files import sha256
    from priorraw_edge.runtime.manifest import FORMAT, write_manifest
    from safetensors.numpy import save_file

    def port(name: str, *shape: int) -> dict:
        return {"name": name, "dtype": "float32", "shape": list(shape)}

    K, d, T = 16, 8, 128
    for name in ("banks", "golden"):
        (folder / name).mkdir()
    (folder / "scene.pte").write_bytes(b"scene" * 100)
    (folder / "tile.pte").write_bytes(b"tile" * 100)
    shapes = {"keys": (K, d), "values": (6, K), "camera": (1, 13)}
    save_file({n: np.zeros(s, np.float32) for n, s in shapes.items()}, folder / "banks" / "a.safetensors")
    save_file({"thumbnail": np.zeros((1, 3, 64, 64), np.float32)}, folder / "golden" / "a.safetensors")
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    scene = [port("thumbnail", 1, 3, 64, 64), *(port(n, *s) for n, s in shapes.items())]
    tile_outputs = [port("raw", 1, 3, T, T), port("reliability", 1, 1, T, T)]
    entry = {"file": "banks/a.safetensors", "golden": "golden/a.safetensors", "psnr": 40.0, "bank_sha256": ""}
    manifest = {
        "format": FORMAT, "target": "xnnpack", "runs": "executorch", "camera": "a", "tile": T, "halo": 16, "align": 8,
        "thumbnail": 64, "precision": "fp32", "encoder_sha256": "", "reconstructor_sha256": "",
        "programs": {
            "scene": {"file": "scene.pte", "inputs": scene, "outputs": [port("scene", 1, 10)]},
            "tile": {"file": "tile.pte", "inputs": [port("tile", 1, 3, T, T), port("scene", 1, 10)],
                     "outputs": tile_outputs},
        },
        "banks": {"a": entry | {"color_matrix": tiny.MATRIX.flatten().tolist()}},
        "files": {name: sha256(folder / name) for name in files},
        "bytes": {name: (folder / name).stat().st_size for name in files},
    }  # fmt: skip
    write_manifest(folder, json.loads(json.dumps(manifest)))
    sealed = (mutate.sealed_manifest, mutate.sealed_manifest, mutate.damage_bytes)
    return {"bundle.json": sealed} | dict.fromkeys(files, BYTES)


def program_file(folder: Path, name: str) -> None:
    """What `verify` reads of a .pte, without running it."""
    from priorraw_edge.verify.flatbuffer import structure_faults

    structure_faults(folder / name, {"inputs": [], "outputs": []}, "XnnpackBackend")


def make_program(folder: Path) -> dict[str, tuple[Mutator, ...]]:
    """A program of one addition."""
    import torch
    from executorch.exir import to_edge

    class Add(torch.nn.Module):
        def forward(self, x):
            return x + 1

    exported = torch.export.export(Add(), (torch.zeros(2, 3),))
    (folder / "a.pte").write_bytes(to_edge(exported).to_executorch().buffer)
    return {"a.pte": BYTES}


READERS = {
    reader.name: reader
    for reader in (
        Reader("pictures", make_photographs, photograph, share=4),
        Reader("exif", make_exif, photograph, share=3),
        Reader("icc", make_icc, photograph, share=2),
        Reader("camera files", make_camera_files, camera_file, share=2),
        Reader("packs", make_pack, source, share=2),
        Reader("png folders", make_png_folder, source),
        Reader("datasets", make_dataset, dataset, share=2),
        Reader("banks", make_bank, bank),
        Reader("model parts", make_parts, model_part),
        Reader("checkpoints", make_checkpoint, checkpoint),
        Reader("assets", make_assets, assets),
        Reader("bundles", make_bundle, bundle, share=3),
        Reader("programs", make_program, program_file),
    )
}
