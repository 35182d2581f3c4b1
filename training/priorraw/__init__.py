"""PriorRAW, server side: from camera files to a trained encoder, prior bank and reconstructor.

From a photograph to RAW::

    from priorraw import load_assets
    prior = load_assets("sony-slt-a57")
    raw, reliability = prior(srgb)  # (H, W, 3) float32 sRGB in [0, 1] to linear raw-RGB (H, W, 3), (H, W)
"""

__all__ = ["load_assets"]


def __getattr__(name: str):
    # Late, so that importing the package (and the command line's --help) does not load torch.
    if name == "load_assets":
        from priorraw.assets import load_assets

        return load_assets
    raise AttributeError(f"module 'priorraw' has no attribute {name!r}")
