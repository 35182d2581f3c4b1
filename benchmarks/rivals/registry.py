"""The rows of the comparison, by name. A new rival is a class and a line here."""

from importlib import import_module

from priorraw.errors import InputError

from benchmarks.rivals.rival import Rival

ROWS = {
    "mean-light": ("closed_form", "MeanLight"),
    "global": ("global_map", "GlobalMap"),
    "poly2": ("global_map", "Poly2"),
    "poly3": ("global_map", "Poly3"),
    "cnn-light": ("cnn_light", "CnnLight"),
    "unet": ("unet", "PlainUNet"),
    "unet-large": ("unet", "LargeUNet"),
    "true-light": ("closed_form", "TrueLight"),
    "rir": ("rir", "Rir"),
    "sam": ("sam", "Sam"),
    "cam": ("cam", "Cam"),
    "cam-finetuned": ("cam", "FineTunedCam"),
}


def rival_class(name: str) -> type[Rival]:
    """The class of a row."""
    module, attribute = ROWS[name]
    return getattr(import_module(f"benchmarks.rivals.{module}"), attribute)


def parse_rows(text: str) -> list[str]:
    """`all`, or names separated by commas, in the order given and each once.

    Raises:
        InputError: a name is unknown or there is none.
    """
    if text.strip() == "all":
        return list(ROWS)
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in ROWS]
    if unknown or not names:
        raise InputError(f"--rows {text!r}: {(unknown or ['nothing'])[0]} is no row; rows: all, {', '.join(ROWS)}")
    return names
