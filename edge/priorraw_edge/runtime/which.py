"""Whose RAW to rebuild, and what speaks against trusting it: what the photograph says of its camera and editing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from priorraw.cameras import camera_id

from priorraw_edge.runtime.exif import Facts

# Programs that change a picture's colours, as they sign it in EXIF's Software or XMP's CreatorTool. Makers' converters
# count: they render anew what the camera rendered once.
EDITORS = re.compile(
    r"photoshop|lightroom|camera raw|gimp|darktable|rawtherapee|capture one|affinity|snapseed|luminar|\bdxo\b"
    r"|nik collection|pixelmator|paint\.net|paintshop|photoscape|picasa|acdsee|imagemagick|instagram|vsco|krita"
    r"|digikam|\bon1\b|photos \d|microsoft.*photo|windows photo|aperture \d|faststone|xnview|irfanview|skylum|topaz"
    r"|capture nx|viewnx|nx studio|digital photo professional|imaging edge|silkypix|olympus workspace|om workspace",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Choice:
    """The camera whose RAW is rebuilt."""

    camera: str
    reason: str  # why this one, for the user
    notes: tuple[str, ...] = ()  # what to mistrust, a plain line each
    straight: bool = False  # EXIF names this very camera, and nothing speaks of editing


def choose_camera(facts: Facts, known: Sequence[str], default: str, given: str | None = None) -> Choice:
    """The bank for a photograph: the one asked for, else the one of the camera that EXIF names, else the default.

    Args:
        facts: what the photograph's file says.
        known: cameras that there are banks of.
        default: the camera for photographs of none of them.
        given: what the user asked for.
    """
    slug = camera_id(facts.make, facts.model) if facts.model else ""
    notes = []
    if given is not None:
        camera, reason = given, "as asked for"
        if slug and slug != given:
            notes.append(f"comes from another camera ({facts.camera}) than {given}: levels and light are estimates")
    elif slug in known:
        camera, reason = slug, f"EXIF names {facts.camera}"
    elif slug:
        camera, reason = default, f"the default: no bank of {facts.camera}"
        notes.append(
            f"comes from no known camera ({facts.camera}): rebuilt as {default}'s RAW, light and colours are a guess; "
            "for a bank of yours: priorraw-edge bank build --raws"
        )
    else:
        camera, reason = default, "the default: the photo names no camera"
    signs = _signs_of_editing(facts)
    return Choice(camera, reason, (*notes, *signs), slug == camera and not signs)


def _signs_of_editing(facts: Facts) -> list[str]:
    tool = next((text for text in (facts.software, facts.creator_tool) if EDITORS.search(text)), None)
    if tool:
        return [f"was edited ({tool}): the RAW is that of the edited picture"]
    if facts.history:
        return ["was edited (its XMP lists edits): the RAW is that of the edited picture"]
    if facts.model and not facts.maker_note:
        return ["its EXIF lacks the maker's notes: it has been through a program, which may have changed the picture"]
    return []
