"""Draw bars, read as JSON: titles, with a ratio by name. The argument is the SVG file that is written."""

import json
import re
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt

# Grey and blue that can be read on white and on black.
TEXT, BASE, OURS, OTHER = "#7d8590", "#b0b8c1", "#2f81f7", "#8b949e"
#: Of these, more is better.
RATES = ("A small JSON answer", "A view that waits for 10 ms", "Events and jobs")

bars = json.load(sys.stdin)
plt.rcParams.update(
    {"svg.fonttype": "none", "svg.hashsalt": "performance", "font.family": "sans-serif", "font.size": 9}
    | dict.fromkeys(["text.color", "axes.labelcolor", "xtick.color", "ytick.color"], TEXT)
)
figure, panels = plt.subplots(
    len(bars),
    1,
    figsize=(8, sum(len(each) + 2.2 for each in bars.values()) * 0.24),
    height_ratios=[len(each) + 0.4 for each in bars.values()],
    layout="constrained",
    squeeze=False,
)
for (title, ratios), panel in zip(bars.items(), panels[:, 0], strict=True):
    names = list(ratios)[::-1]
    others = [name.startswith(("bare", "psycopg", "Core")) for name in names]
    panel.barh(
        names, [ratios[name] for name in names], color=[OTHER if other else OURS for other in others], height=0.7
    )
    panel.axvline(1, color=BASE, linewidth=0.8)
    for place, name in enumerate(names):
        panel.annotate(
            f"{ratios[name]:.2f}", (ratios[name], place), (4, 0), textcoords="offset points", va="center", fontsize=8
        )
    panel.set_title(
        f"{title} ({'more' if title in RATES else 'less'} is better)", loc="left", fontsize=9, fontweight="bold"
    )
    panel.set_facecolor("none")
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)
    panel.set_xticks([])
    panel.margins(x=0.08)
Path(sys.argv[1]).parent.mkdir(exist_ok=True)
figure.savefig(sys.argv[1], transparent=True, metadata={"Date": None, "Creator": None})
# Lines that end in spaces would be found by linters.
text = Path(sys.argv[1]).read_text()
Path(sys.argv[1]).write_text(re.sub(" +$", "", text, flags=re.MULTILINE))
