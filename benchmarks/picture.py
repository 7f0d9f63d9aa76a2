"""Bar chart of the costs with their spread, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.summary import Spread, SystemRow

WIDTH, LEFT, BAR, GAP = 920, 190, 22, 12
OURS, OTHERS, WRONG = "#2a78b8", "#9aa5b1", "#c2553a"
STYLE = "font:13px sans-serif;fill:#222"


def chart(rows: Sequence[SystemRow], note: str) -> str:
    """Return a chart of the CPU-seconds per million events of each row, lowest first; adtally is blue, systems that lost events are red."""
    known = sorted(((row, row.cpu) for row in rows if row.cpu), key=lambda pair: pair[1].median)
    longest = max((cpu.greatest for _, cpu in known), default=1.0) or 1.0
    scale = (WIDTH - LEFT - 220) / longest
    height = 70 + len(known) * (BAR + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="16" y="24" style="{STYLE};font-weight:bold">CPU-seconds per million events (median, least and greatest)</text>',
        f'<text x="16" y="43" style="{STYLE};font-size:11px">{escape(note)}</text>',
    ]
    for number, (row, cpu) in enumerate(known):
        parts += _bar(row, cpu, 58 + number * (BAR + GAP), scale)
    return "\n".join([*parts, "</svg>", ""])


def _bar(row: SystemRow, cpu: Spread, top: int, scale: float) -> list[str]:
    colour = WRONG if not row.exact else OURS if row.system.startswith("adtally") else OTHERS
    middle = top + BAR / 2
    end = LEFT + max(cpu.median, 0) * scale
    low, high = LEFT + max(cpu.least, 0) * scale, LEFT + max(cpu.greatest, 0) * scale
    said = f"{cpu.median:.2f}" + (f"  {row.peak / 2**20:,.0f} MB") + ("" if row.exact else f"  lost {row.lost.median:.1f} %")
    return [
        f'<text x="{LEFT - 8}" y="{middle + 4}" text-anchor="end" style="{STYLE}">{escape(row.system)}</text>',
        f'<rect x="{LEFT}" y="{top}" width="{end - LEFT:.1f}" height="{BAR}" fill="{colour}"/>',
        f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 5}v10M{high:.1f} {middle - 5}v10" stroke="#222" fill="none"/>',
        f'<text x="{max(high, end) + 8:.1f}" y="{middle + 4}" style="{STYLE}">{escape(said)}</text>',
    ]
