"""One self-contained HTML page: sections, paragraphs, tables, figures as embedded images.

No script, no external resource: the file can be mailed, printed and read offline.
"""

import base64
import html
import io
import re
from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure

from bayescg.viz.style import SETTINGS

EMBEDDED = re.compile('<figure data-name="([^"]*)"><img alt="[^"]*" src="data:image/png;base64,([^"]*)">')
"""A figure as `figure` writes it: its name and its data."""

STYLE = """
:root { color-scheme: light; }
body { font: 17px/1.55 Charter, "Bitstream Charter", Cambria, Georgia, serif; color: #1a1a1a;
  background: #fff; max-width: 54rem; margin: 2.5rem auto 5rem; padding: 0 1.25rem; }
h1, h2, th, figcaption, nav, .facts td:first-child {
  font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin-bottom: .3rem; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .6rem; border-top: 1px solid #d5d5d0; padding-top: 1.1rem; }
p, ul { margin: .6rem 0; }
.lead { font-size: 1.06rem; }
nav { font-size: .85rem; margin: 1rem 0; }
nav a { margin-right: 1rem; color: #0a5a8f; }
table { border-collapse: collapse; margin: .9rem 0; font-size: .88rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-size: .9rem; padding-bottom: .35rem; color: #444; }
th, td { padding: .28rem .8rem .28rem 0; text-align: right; vertical-align: top; }
th:first-child, td:first-child, .facts td { text-align: left; }
thead th { border-bottom: 1.5px solid #1a1a1a; font-weight: 600; }
tbody td, tbody th { border-bottom: 1px solid #e6e6e2; font-weight: normal; }
.facts td { overflow-wrap: anywhere; }
.facts td:first-child { white-space: nowrap; color: #444; }
figure { margin: 1.2rem 0; }
img { max-width: 100%; height: auto; }
figcaption { font-size: .84rem; line-height: 1.45; color: #444; margin-top: .3rem; }
.warning { border-left: 4px solid #d55e00; background: #fdf3ec; padding: .5rem .9rem; margin: .7rem 0; }
.good { border-left: 4px solid #009e73; background: #eef8f4; padding: .5rem .9rem; margin: .7rem 0; }
@media print { body { margin: 0 auto; font-size: 11pt; } figure, table { break-inside: avoid; }
  nav { display: none; } }
"""


def page(title: str, subtitle: str, sections: Sequence[tuple[str, list[str]]]) -> str:
    """The whole document.

    Args:
        title: heading and name of the document.
        subtitle: one line below.
        sections: heading and HTML parts of every section, in order.

    Example:
        >>> text = page("Water", "", [("Verdict", [paragraph("a < b")])])
        >>> '<h2 id="s1">Verdict</h2>' in text, 'a &lt; b' in text, 'http' in text
        (True, True, False)
    """
    links = "".join(
        f'<a href="#s{number}">{html.escape(heading)}</a>' for number, (heading, _) in enumerate(sections, 1)
    )
    body = "\n".join(
        f'<section aria-labelledby="s{number}">\n<h2 id="s{number}">{html.escape(heading)}</h2>\n'
        + "\n".join(parts)
        + "\n</section>"
        for number, (heading, parts) in enumerate(sections, 1)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n"
        f"<h1>{html.escape(title)}</h1>\n<p>{html.escape(subtitle)}</p>\n"
        f'<nav aria-label="Sections">{links}</nav>\n'
        f"</header>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text.

    Args:
        text: not HTML; it is escaped.
        kind: `lead`, `warning`, `good`, or empty.

    Example:
        >>> paragraph("R-hat > 1.01", "warning")
        '<p class="warning">R-hat &gt; 1.01</p>'
    """
    attribute = f' class="{kind}"' if kind else ""
    return f"<p{attribute}>{html.escape(text)}</p>"


def bullets(items: Iterable[str]) -> str:
    """A list of plain sentences.

    Example:
        >>> bullets(["a", "b"])
        '<ul><li>a</li><li>b</li></ul>'
    """
    return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>"


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a caption; the first column names the row.

    Example:
        >>> table("c", ["a", "b"], [["x", "1"]]).count("<th")
        4
    """
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in header)
    body = "\n".join(
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f"<table><caption>{html.escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table>"
    )


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Name and value, without a header.

    Example:
        >>> facts([("cutoff", "0.9 nm")]).count("<td>")
        2
    """
    body = "\n".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>" for name, value in rows
    )
    return f'<table class="facts"><tbody>\n{body}\n</tbody></table>'


def figure(drawing: Figure, *, name: str, alt: str, caption: str) -> str:
    """A figure embedded as an image.

    Args:
        drawing: to embed.
        name: its own on the page, by which `figures` gives it back.
        alt: what it shows, for those who cannot see it.
        caption: below it.

    Example:
        >>> figure(Figure(figsize=(1, 1)), name="empty", alt="nothing", caption="Empty.")[:64]
        '<figure data-name="empty"><img alt="nothing" src="data:image/png'
    """
    data = base64.b64encode(png(drawing)).decode("ascii")
    return (
        f'<figure data-name="{html.escape(name, quote=True)}"><img alt="{html.escape(alt, quote=True)}" '
        f'src="data:image/png;base64,{data}"><figcaption>{html.escape(caption)}</figcaption></figure>'
    )


def figures(text: str) -> dict[str, bytes]:
    """The figures of a page by name, as the bytes of PNG files.

    Args:
        text: of the page.

    Example:
        >>> text = figure(Figure(figsize=(1, 1)), name="empty", alt="nothing", caption="Empty.")
        >>> [(name, data[1:4]) for name, data in figures(text).items()]
        [('empty', b'PNG')]
    """
    return {html.unescape(name): base64.b64decode(data) for name, data in EMBEDDED.findall(text)}


def png(drawing: Figure) -> bytes:
    """A figure as the bytes of a PNG file, without a date, so that equal figures are equal files.

    Example:
        >>> png(Figure(figsize=(1, 1)))[1:4]
        b'PNG'
    """
    buffer = io.BytesIO()
    drawing.savefig(
        buffer, format="png", dpi=SETTINGS["savefig.dpi"], facecolor="white", metadata={"Software": None}
    )
    return buffer.getvalue()
