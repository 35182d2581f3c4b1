"""PriorRAW, server side: from camera files to a trained encoder, prior bank and reconstructor.

Four lines from a photograph to RAW::

    from priorraw import load_assets
    model = load_assets("sony-slt-a57")
    scene = model.scene(model.thumbnail(srgb))  # srgb: (1, 3, H, W) float32 in [0, 1]
    raw, reliability = model(srgb, scene)  # (1, 3, H, W) linear raw-RGB in [0, 1], (1, 1, H, W)
"""

__all__ = ["load_assets"]


def __getattr__(name: str):
    # Late, so that importing the package (and the command line's --help) does not load torch.
    if name == "load_assets":
        from priorraw.assets import load_assets

        return load_assets
    raise AttributeError(f"module 'priorraw' has no attribute {name!r}")
