"""An HTML report: one file, no script, pictures embedded, light and dark."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template

from priorraw.files import atomic_file

Rows = Sequence[Sequence[str]]


@dataclass
class Page:
    """A report that is being written.

    Attributes:
        title: the heading.
        lead: a line or two below it, plain text.
        made_by: the command that writes it.
        parts: HTML, in order; of the functions below.
    """

    title: str
    lead: str
    made_by: str
    parts: list[str] = field(default_factory=list)

    def add(self, *parts: str) -> None:
        self.parts += parts

    def write(self, path: Path) -> None:
        """Write it, whole or not at all.

        Raises:
            InputError: `path` cannot be written.
        """
        template = Template((Path(__file__).parent / "page.html").read_text(encoding="utf-8"))
        text = template.substitute(
            title=escape(self.title), lead=escape(self.lead), made_by=escape(self.made_by), body="\n".join(self.parts)
        )
        with atomic_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def heading(text: str, level: int = 2) -> str:
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str, kind: str = "") -> str:
    """Plain text; `kind` is note, lead, or nothing."""
    return f"<p{f' class={kind}' if kind else ''}>{escape(text)}</p>"


def verdict(passed: bool, text: str) -> str:
    return f'<p class="verdict {"pass" if passed else "fail"}">{escape(text)}</p>'


def table(header: Sequence[str], rows: Rows, ours: int | None = None) -> str:
    """Columns of numbers to the right; the row `ours` stands out; pass and FAIL in their colours."""
    right = [all(_is_number(row[i]) for row in rows) for i in range(len(header))]

    def line(tag: str, cells: Sequence[str]) -> str:
        classes = [
            "number" if r else {"pass": "pass", "FAIL": "fail"}.get(c, "") for r, c in zip(right, cells, strict=True)
        ]
        return "".join(
            f"<{tag}{f' class={kind}' if kind else ''}>{escape(cell)}</{tag}>"
            for kind, cell in zip(classes, cells, strict=True)
        )

    body = "".join(f"<tr{' class=ours' if i == ours else ''}>{line('td', row)}</tr>" for i, row in enumerate(rows))
    head = line("th", header)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def figure(uri: str, title: str, caption: str, legend: str = "") -> str:
    """A picture by its data URI, with a caption below."""
    return (
        f'<figure><img src="{uri}" alt="{escape(title)}">{legend}'
        f"<figcaption><b>{escape(title)}</b> {escape(caption)}</figcaption></figure>"
    )


def plot(svg: str, title: str, caption: str) -> str:
    """A plot of `plots`, as wide as the page."""
    uri = f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
    return figure(uri, title, caption).replace("<figure>", '<figure class="plot">', 1)


def scale(uri: str, low: str, high: str) -> str:
    """A colour bar with what its ends stand for."""
    return (
        f'<div class="legend"><span>{escape(low)}</span><img src="{uri}" alt="scale"><span>{escape(high)}</span></div>'
    )


def grid(figures: Sequence[str], kind: str = "") -> str:
    """Figures beside each other; `kind` two makes them larger."""
    return f'<div class="{f"grid {kind}".strip()}">{"".join(figures)}</div>'


def _is_number(text: str) -> bool:
    return text in ("", "equal") or re.fullmatch(r"[-+0-9.,e]+", text) is not None
