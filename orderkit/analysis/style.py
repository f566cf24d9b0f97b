"""How every chart looks: one colour per outcome, sizes for a projector, a light ground in dark themes too."""

from __future__ import annotations

import functools
import warnings
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from typing import Any, ParamSpec

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from orderkit.analysis.palette import BLACK, GREY

P = ParamSpec("P")

DIM, PALE, INK = "#595959", "#E8EEF4", BLACK
LABEL_PAD = 14  # points between words at an axis and its label

# Hatches tell apart what a projector washes out.
HATCHES = {"timed_out": "//", "cancelled": "..", "running": "xx", "open": "xx"}

WIDTH_INCHES, HEIGHT_INCHES, DPI = 12.8, 7.2, 100  # 1280 x 720

_RC: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.facecolor": "white",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 15,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.titlesize": 19,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.size": 14,
    "grid.color": "#DDDDDD",
    "hatch.color": "white",
    "legend.fontsize": 13.5,
    "legend.frameon": False,
    "savefig.facecolor": "white",
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign is a dollar sign
    "xtick.color": INK,
    "xtick.labelsize": 14,
    "ytick.color": INK,
    "ytick.labelsize": 14,
}

# Fonts of the usual systems for what DejaVu lacks; emoji in colour are none that matplotlib can draw.
_MORE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Arial Unicode MS",
    "Microsoft YaHei",
    "SimHei",
    "Malgun Gothic",
    "Noto Emoji",
    "Segoe UI Emoji",
    "Segoe UI Symbol",
    "Symbola",
)


@functools.cache
def fonts() -> list[str]:
    """DejaVu, then those of the others that are installed: each character comes from the first font that has it."""
    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _MORE_FONTS if name in installed)]


class Chart(Figure):
    """A Figure that shows itself in a notebook without pyplot."""

    #: What it shows, in a sentence made from its data. A picture in a notebook carries it as `alt`.
    description = ""

    def __repr__(self) -> str:
        """VS Code takes this as the picture's `alt`. No measured number is in it: tests of notebooks compare it."""
        title = self.axes[0].get_title(loc="left").partition(":")[0] if self.axes else "empty"
        return f"<Chart: {title}. Its .description says what it shows>"

    def draw(self, renderer: RendererBase) -> None:
        """A character that no font has is drawn as a box, without a page of warnings in the cell."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        image = BytesIO()
        self.savefig(image, format="png", dpi="figure", facecolor="white")
        return image.getvalue()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """The picture, with its `alt` where nbconvert and our JupyterLab look for it."""
        return {"image/png": b64encode(self._repr_png_()).decode()}, {"image/png": {"alt": self.description}}


def styled(describe: Callable[P, str]) -> Callable[[Callable[P, Chart]], Callable[P, Chart]]:
    """Decorates a chart function: it uses our style, and ignores the notebook's; `describe` says what it shows."""

    def decorate(draw: Callable[P, Chart]) -> Callable[P, Chart]:
        @functools.wraps(draw)
        def in_style(*args: P.args, **kwargs: P.kwargs) -> Chart:
            plain = {
                name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith("backend")
            }
            with matplotlib.rc_context({**plain, **_RC, "font.family": fonts()}):
                chart = draw(*args, **kwargs)
                chart.draw_without_rendering()  # ticks take their style when they are first drawn
            chart.description = chart.description or describe(*args, **kwargs)
            return chart

        return in_style

    return decorate


def new_chart() -> Chart:
    """An empty chart of a projector's size."""
    return Chart(figsize=(WIDTH_INCHES, HEIGHT_INCHES), dpi=DPI, layout="constrained")


def no_data(title: str) -> Chart:
    """What a chart shows before anything happened."""
    chart = new_chart()
    chart.description = f"{title}: no data yet."
    axes = chart.subplots()
    axes.set_title(title)
    axes.set_axis_off()
    axes.text(0.5, 0.5, "no data yet", ha="center", va="center", fontsize=22, color=GREY, transform=axes.transAxes)
    return chart


def swatches(names: Iterable[str], colours: dict[str, str]) -> list[Patch]:
    """Legend entries of those outcomes that occur, always in the same order."""
    present = set(names)
    return [
        Patch(facecolor=colour, hatch=HATCHES.get(name), edgecolor="white", label=name.replace("_", " "))
        for name, colour in colours.items()
        if name in present
    ]


def dots(names: Iterable[str], colours: dict[str, str]) -> list[Line2D]:
    """The same for charts of dots."""
    present = set(names)
    style: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 10}
    return [
        Line2D([], [], color=colour, label=name.replace("_", " "), **style)
        for name, colour in colours.items()
        if name in present
    ]


def show_legend(chart: Chart, entries: Sequence[Artist]) -> None:
    """The legend under the chart, in one row or two."""
    columns = len(entries) if len(entries) <= 6 else (len(entries) + 1) // 2
    chart.legend(
        handles=entries,
        loc="outside lower center",
        ncols=columns,
        columnspacing=1.4,
        handlelength=1.8,
        handletextpad=0.6,
    )


def deadline_line(axes: Axes, seconds: float, vertical: bool = True) -> Line2D:
    """The deadline, and its legend entry."""
    draw = axes.axvline if vertical else axes.axhline
    return draw(seconds, color=INK, linestyle=(0, (6, 3)), linewidth=2, label=f"deadline {seconds:g} s", zorder=4)


def count_axis(axis: Axis) -> None:
    """Ticks at whole numbers."""
    axis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
