"""A drawing as SVG to stand in a page: colours by class, a title for every mark."""

from __future__ import annotations

from markupsafe import Markup, escape

from hostsim.backoffice.reports.drawing import Drawing, Line, Rect

_CLASSES = ("mark", "mark-2", "mark-3", "mark-4")


def svg(drawing: Drawing) -> Markup:
    """The element."""
    parts = [
        f'<svg class="chart" role="img" viewBox="0 0 {drawing.width:g} {drawing.height:g}"'
        f' aria-label="{escape(drawing.title)}">'
    ]
    for shape in drawing.shapes:
        if isinstance(shape, Rect):
            faded = f' fill-opacity="{shape.strength:g}"' if shape.strength < 1 else ""
            name = _CLASSES[shape.mark] if shape.strength else "empty"
            parts.append(
                f'<rect class="{name}" x="{shape.x:.2f}" y="{shape.y:.2f}" width="{shape.w:.2f}"'
                f' height="{shape.h:.2f}" rx="1.5"{faded if shape.strength else ""}>'
                f"<title>{escape(shape.title)}</title></rect>"
            )
        elif isinstance(shape, Line):
            parts.append(
                f'<line class="grid-line" x1="{shape.x1:g}" y1="{shape.y1:.2f}"'
                f' x2="{shape.x2:g}" y2="{shape.y2:.2f}"/>'
            )
        else:
            parts.append(
                f'<text x="{shape.x:.2f}" y="{shape.y:.2f}" text-anchor="{shape.anchor}">'
                f"{escape(shape.text)}</text>"
            )
    return Markup("".join(parts) + "</svg>")
