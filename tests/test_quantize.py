"""int8: the named layers and no others, the same graph from the same recipe, and within a quantiser's own error."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from priorraw.assets import load_assets, shipped_assets
from priorraw.errors import InputError
from priorraw_edge.export.calibration import RECIPE, eager_tensors, load_recipes, recipes_for, sample_crops
from priorraw_edge.export.programs import trace
from priorraw_edge.export.quantize import (
    FLOAT_IN_TILE,
    INT8_IN_SCENE,
    QuantizationError,
    Recipe,
    calibrate,
    convolutions,
    default_layers,
    from_json,
    int8_weights,
    quantise,
    to_json,
)
from priorraw_edge.export.xnnpack import convert
from priorraw_edge.verify.flatbuffer import named_data
from random_assets import CAMERAS, write_random_assets

TILE = 72
LAYER = "reconstructor.encode1.spatial"


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> Path:
    return write_random_assets(tmp_path_factory.mktemp("assets"))


@pytest.fixture(scope="module")
def prior(assets):
    return load_assets(CAMERAS[0], assets)


@pytest.fixture(scope="module")
def pictures(prior):
    return [eager_tensors(prior, srgb, TILE) for srgb in sample_crops()[:4]]


@pytest.fixture(scope="module")
def tile_program(prior, pictures):
    return trace(prior.model, pictures[0])[1]


def test_layers_are_those_of_the_model(prior, tile_program):
    named = {name for name, m in prior.model.named_modules() if isinstance(m, torch.nn.Conv2d)}
    assert set(convolutions(tile_program)) == {name for name in named if name.startswith("reconstructor")}
    assert named > FLOAT_IN_TILE | INT8_IN_SCENE


def test_one_layer_is_int8_and_errs_as_rounding_does(prior, pictures, tile_program):
    """Its weights are off by half a step at most, per output channel; no other layer is touched."""
    recipe = calibrate(tile_program, [LAYER], pictures)
    graph = quantise(tile_program, recipe)
    counts = int8_weights(graph)
    weight = prior.model.reconstructor.encode1.spatial.weight
    assert {layer: count for layer, count in counts.items() if count} == {LAYER: weight.numel()}
    constants = dict(graph.named_buffers()) | dict(graph.named_parameters())
    (stored,) = [t for t in constants.values() if t.dtype == torch.int8]
    steps = weight.detach().abs().amax((1, 2, 3), keepdim=True) / 127
    assert (stored.float() * steps - weight).abs().max() <= 0.501 * steps.max()
    found = graph(*(pictures[0][name] for name in ("tile", "scene")))[0]
    error = (found - pictures[0]["raw"]).abs().max()
    assert 0 < error < 0.05  # observed 1.2e-3


def test_a_recipe_survives_json_and_gives_the_same_graph(pictures, tile_program):
    recipe = calibrate(tile_program, [LAYER], pictures)
    again = from_json(json.loads(json.dumps(to_json({"tile": recipe}))))["tile"]
    assert again == recipe
    inputs = [pictures[1][name] for name in ("tile", "scene")]
    assert torch.equal(quantise(tile_program, recipe)(*inputs)[0], quantise(tile_program, again)(*inputs)[0])


def test_a_recipe_of_another_graph_is_refused(pictures, tile_program):
    recipe = calibrate(tile_program, [LAYER], pictures)
    with pytest.raises(QuantizationError, match="ranges are those of another graph"):
        quantise(tile_program, Recipe(("reconstructor.stem", LAYER), recipe.ranges))


def test_lowered_int8_weights_are_bytes(pictures, prior, tile_program, tmp_path):
    """In the .pte, not only in the graph: a pass that folds constants would make them float again."""
    recipe = calibrate(tile_program, [LAYER], pictures)
    convert([tile_program], tmp_path, "int8", recipes={"tile": recipe})
    sizes = sorted(len(data) for data in named_data(tmp_path / "tile.pte").values())
    count = prior.model.reconstructor.encode1.spatial.weight.numel()
    assert count in sizes and 4 * count - 1 not in sizes
    assert sum(sizes) < 4 * sum(p.numel() for p in prior.model.reconstructor.parameters()) - 2.9 * count


def test_shipped_recipe_fits_the_shipped_model():
    prior = load_assets("sony-imx135")
    recipes = load_recipes(shipped_assets() / RECIPE, prior)
    for program in trace(prior.model, eager_tensors(prior, sample_crops()[0], TILE)):
        counts = int8_weights(quantise(program, recipes[program.name]))
        assert [layer for layer, count in counts.items() if count] == default_layers(program)


def test_recipes_of_other_weights_are_refused(prior, tmp_path):
    with pytest.raises(InputError, match="made for other weights"):
        load_recipes(shipped_assets() / RECIPE, prior)


def test_ranges_come_from_the_folder_that_is_named(prior, tmp_path, capsys):
    from priorraw.dataset import write_png

    with pytest.raises(InputError, match="holds no picture"):
        recipes_for(prior, TILE, tmp_path, None)
    generator = np.random.default_rng(0)
    for i in range(2):
        write_png(tmp_path / f"{i}.png", generator.integers(0, 100, (80, 90, 3), np.uint8))
    recipes_for(prior, TILE, tmp_path, None)
    assert "2 pictures; 32 and more make better ranges" in capsys.readouterr().err


def test_the_command_writes_a_recipe_and_says_what_it_costs(assets, cli, tmp_path):
    from priorraw.dataset import write_png
    from skimage.data import chelsea, coffee

    for i, picture in enumerate((coffee(), chelsea(), coffee()[::-1], chelsea()[:, ::-1])):
        write_png(tmp_path / f"{i}.png", np.ascontiguousarray(picture))
    out = tmp_path / "recipe" / "int8.json"
    arguments = ("quantize", tmp_path, "--camera", CAMERAS[0], "--assets", assets, "--tile", TILE, "-o", out, "--json")
    code, text, _ = cli(*arguments)
    rows = json.loads(text)
    assert code == 0 and [row["program"] for row in rows] == ["scene", "tile"]
    assert all(20 < row["raw"] < 150 for row in rows)  # observed 58 and 52 with random weights
    assert load_recipes(out, load_assets(CAMERAS[0], assets)).keys() == {"scene", "tile"}
