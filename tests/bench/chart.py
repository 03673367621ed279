"""chart.py - one SVG picture of lines or of bars, from plain lists; no library.

    save("out.svg", lines("title", "ranks", "seconds", {"series": [(x, y), ...]}, log_x=True))
    save("out.svg", bars("title", "seconds", ["group", ...], {"series": [value, ...]}))
"""
import math

COLOURS = ["#1f5a99", "#c8551b", "#3c8d40", "#8a4fa3", "#7a6a1f", "#4a4a4a", "#b03060", "#208a8a"]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 440, 80, 250, 46, 64


def escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def say(x, y, text, anchor="start", size=13, turn=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"{turn}>{escape(text)}</text>'


def ticks(low, high):
    """About five round numbers."""
    step = 10 ** math.floor(math.log10((high - low) / 5 or 1))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= 6)
    first = math.ceil(low / step - 1e-9)
    return [(first + i) * step for i in range(int((high - first * step) / step + 1e-9) + 1)]


def frame(title, y_label, low, high, note):
    """Opens the picture; returns its parts and the function from a value to a height."""
    bottom = HEIGHT - BOTTOM
    y = lambda v: bottom - (v - low) / (high - low) * (bottom - TOP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" fill="#222">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>', say(LEFT, 26, title, size=16),
             say(20, (TOP + bottom) / 2, y_label, "middle", turn=f' transform="rotate(-90 20 {(TOP + bottom) / 2:.0f})"')]
    for v in ticks(low, high):
        parts.append(f'<path d="M{LEFT} {y(v):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>' + say(LEFT - 8, y(v) + 4, f"{v:g}", "end"))
    if note:
        parts.append(say(LEFT, HEIGHT - 8, note, size=11))
    return parts, y


def legend(parts, i, name):
    y = TOP + 8 + 20 * i
    parts.append(f'<rect x="{WIDTH - RIGHT + 16}" y="{y - 9}" width="12" height="12" fill="{COLOURS[i % len(COLOURS)]}"/>')
    parts.append(say(WIDTH - RIGHT + 34, y + 2, name, size=12))


def lines(title, x_label, y_label, series, log_x=False, low=None, high=None, note=""):
    xs = sorted({p[0] for points in series.values() for p in points})
    ys = [p[1] for points in series.values() for p in points]
    low, high = min(ys + [0]) if low is None else low, max(ys) * 1.05 if high is None else high
    parts, y = frame(title, y_label, low, high, note)
    scale = math.log2 if log_x else float
    a, b = scale(xs[0]), scale(xs[-1])
    x = lambda v: LEFT + 12 + (scale(v) - a) / ((b - a) or 1) * (WIDTH - RIGHT - LEFT - 24)
    shown = xs if len(xs) <= 12 else ticks(xs[0], xs[-1])
    for v in shown:
        parts.append(say(x(v), HEIGHT - BOTTOM + 18, f"{v:,g}" if v >= 1000 else f"{v:g}", "middle", 12))
    parts.append(say((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 38, x_label, "middle"))
    for i, (name, points) in enumerate(series.items()):
        colour, dash = COLOURS[i % len(COLOURS)], ' stroke-dasharray="5 4"' if "model" in name else ""
        clipped = [(px, min(max(py, low), high)) for px, py in sorted(points)]
        path = " ".join(f'{"L" if k else "M"}{x(px):.1f} {y(py):.1f}' for k, (px, py) in enumerate(clipped))
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        parts += [f'<circle cx="{x(px):.1f}" cy="{y(py):.1f}" r="3" fill="{colour}"/>' for px, py in clipped if not dash]
        legend(parts, i, name)
    return parts + ["</svg>"]


def bars(title, y_label, groups, series, note=""):
    parts, y = frame(title, y_label, 0, max(v for values in series.values() for v in values) * 1.08, note)
    room = (WIDTH - RIGHT - LEFT) / len(groups)
    width = room * 0.8 / len(series)
    for i, (name, values) in enumerate(series.items()):
        for g, v in enumerate(values):
            x = LEFT + room * (g + 0.1) + width * i
            parts.append(f'<rect x="{x:.1f}" y="{y(max(v, 0)):.1f}" width="{width - 2:.1f}" height="{y(0) - y(max(v, 0)):.1f}" fill="{COLOURS[i]}"/>')
            parts.append(say(x + width / 2 - 1, y(max(v, 0)) - 4, f"{v:.2g}", "middle", 11))
        legend(parts, i, name)
    for g, name in enumerate(groups):
        parts.append(say(LEFT + room * (g + 0.5), HEIGHT - BOTTOM + 18, name, "middle"))
    return parts + ["</svg>"]


def save(path, parts):
    with open(path, "w") as f:
        f.write("\n".join(parts) + "\n")
