"""The picture of bench_step.py: where the time of a step goes, and the products and the step under the machine's roofline."""
import math

PARTS = ("gemm", "attention", "elements", "head", "optimizer", "exchange", "data", "other")
NAMES = {"gemm": "matrix products (bias, GELU, dropout, LayerNorm fused)", "attention": "attention", "elements": "element-wise", "head": "heads and loss",
         "optimizer": "optimizer", "exchange": "gradient sum, exchange", "data": "data", "other": "other"}
COLOURS = {"gemm": "#2b5c8a", "attention": "#5b9bd0", "elements": "#e0a030", "head": "#4c9f70", "optimizer": "#b5523b", "exchange": "#8b6bb1",
           "data": "#888888", "other": "#cccccc"}
WIDTH, LEFT, RIGHT = 960, 150, 930
CASE_COLOURS = ("#2b5c8a", "#5b9bd0", "#e0a030", "#b5523b", "#4c9f70", "#8b6bb1")


def text(x, y, words, size=13, anchor="start", fill="#222", weight="normal"):
    words = str(words).replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}" font-weight="{weight}">{words}</text>'


def line(x1, y1, x2, y2, stroke="#ddd", width=1, dash=""):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" stroke-width="{width}"{dash and f" stroke-dasharray={chr(34)}{dash}{chr(34)}"}/>'


def box(x, y, w, h, fill):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{fill}"/>'


def name(case):
    return f"{case[0]}, S {case[1]}, batch {case[2]}"


def legend(top):
    out, x, y = [], LEFT, top
    for p in PARTS:
        wide = 26 + 6.6 * len(NAMES[p])
        if x + wide > RIGHT: x, y = LEFT, y + 20
        out += [box(x, y - 10, 12, 12, COLOURS[p]), text(x + 17, y, NAMES[p], 12)]
        x += wide + 6
    return out, y + 16


def ledger(results, top):
    out = [text(24, top, "Where the time of a step goes", 16, weight="bold"), text(24, top + 19, "1 rank, all threads; useful work as a share of the FMA peak "
           "at the right", 12, fill="#555")]
    keys, y = legend(top + 44)
    out += keys
    end = RIGHT - 60
    for r in results:
        l, x = r["layouts"]["1"]["ledger"], LEFT
        out.append(text(LEFT - 10, y + 19, name(r["case"]), 12, "end"))
        for p in PARTS:
            share = l[p] / l["seconds"]
            wide = share * (end - LEFT)
            out.append(box(x, y, wide, 28, COLOURS[p]))
            if share >= 0.045: out.append(text(x + wide / 2, y + 18, f"{100 * share:.0f} %", 11, "middle", "#fff"))
            x += wide
        share = r["layouts"]["1"]["rate"] * r["flops_per_token"] / r["layouts"]["1"]["peak"]
        out += [text(end + 8, y + 13, f"{1000 * l['seconds']:.0f} ms", 12), text(end + 8, y + 27, f"{100 * share:.0f} % of peak", 11, fill="#555")]
        y += 38
    return out, y


def roofline(results, top):
    """Logarithmic: FLOPs a byte of compulsory traffic to GFLOP/s. One dot a product, one bar a whole step."""
    m, height = results[0]["machine"], 330
    peak, band = m["peak_flops"] / 1e9, m["bandwidth"] / 1e9
    low, high = 1.0, 2048.0
    floor, ceiling = band * low * 0.7, max([peak] + [r["machine"]["peak_flops"] / 1e9 for r in results]) * 1.6
    X = lambda v: LEFT + (math.log(v / low) / math.log(high / low)) * (RIGHT - LEFT)
    Y = lambda v: top + 40 + height - math.log(v / floor) / math.log(ceiling / floor) * height
    out = [text(24, top, "Roofline", 16, weight="bold"), text(24, top + 19, f"{m['threads']} threads, {m['kernels']}: FMA peak {peak:.0f} GFLOP/s, memory "
           f"{band:.1f} GB/s; a dot is a matrix product, a diamond a whole step (useful FLOPs)", 12, fill="#555")]
    for e in range(0, 12):
        out += [line(X(2 ** e), Y(floor), X(2 ** e), Y(ceiling)), text(X(2 ** e), Y(floor) + 16, 2 ** e, 11, "middle", "#555")]
    tick = 10 ** math.floor(math.log10(floor))
    while tick < ceiling:
        for k in (1, 2, 5):
            if floor < tick * k < ceiling: out += [line(LEFT, Y(tick * k), RIGHT, Y(tick * k)), text(LEFT - 8, Y(tick * k) + 4, f"{tick * k:g}", 11, "end", "#555")]
        tick *= 10
    knee = peak / band
    out += [line(X(low), Y(band * low), X(knee), Y(peak), "#222", 2), line(X(knee), Y(peak), RIGHT, Y(peak), "#222", 2),
            text(RIGHT, Y(peak) - 7, "FMA peak", 12, "end"), text(X(2.2), Y(band * 2.2) - 10, "memory", 12, "end"),
            text((LEFT + RIGHT) / 2, Y(floor) + 34, "FLOPs per byte that must move", 12, "middle", "#555"), text(LEFT - 50, top + 36, "GFLOP/s", 12, fill="#555")]
    for r, colour in zip(results, CASE_COLOURS * 9):
        for p in r["machine"]["products"]:
            a = 2 * p["m"] * p["n"] * p["k"] / (4 * (p["m"] * p["n"] + p["m"] * p["k"] + p["n"] * p["k"]))
            y = p["flops_per_second"] / 1e9
            out.append(f'<circle cx="{X(a):.1f}" cy="{Y(y):.1f}" r="4" fill="{colour}" fill-opacity="0.75"/>')
        rate = max(v["rate"] for v in r["layouts"].values()) * r["flops_per_token"] / 1e9
        work = r["flops_per_token"] * r["layouts"]["1"]["tokens"]
        x, y = X(min(high * 0.9, work / step_bytes(r))), Y(rate)
        out.append(f'<path d="M {x:.1f} {y - 8:.1f} l 8 8 l -8 8 l -8 -8 z" fill="{colour}" stroke="#222"/>')
    out.append(box(RIGHT - 200, Y(floor) - 18 * len(results) - 18, 190, 18 * len(results) + 12, "#fff"))
    for i, (r, colour) in enumerate(zip(results, CASE_COLOURS * 9)):
        out += [box(RIGHT - 190, Y(floor) - 18 * len(results) + 18 * i - 12, 12, 12, colour), text(RIGHT - 172, Y(floor) - 18 * len(results) + 18 * i - 2, name(r["case"]), 12)]
    return out, Y(floor) + 50


def step_bytes(r):
    """What must move at least once in a step: operands and results of every product, and 28 bytes a weight for AdamW."""
    products = {p["product"]: p for p in r["machine"]["products"] if p["way"] == "forward"}
    layers = {"tiny": 2, "mini": 4, "small": 4, "medium": 8, "base": 12, "large": 24}.get(r["case"][0], 12)
    total = 0
    for key, p in products.items():
        times = 1 if key == "decoder" else layers
        total += times * (3 * 4 * (p["m"] * p["n"] + p["m"] * p["k"] + p["n"] * p["k"]) + 28 * p["n"] * p["k"])
    return total


def draw(results):
    first, y = ledger(results, 34)
    second, y = roofline(results, y + 40)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y:.0f}" viewBox="0 0 {WIDTH} {y:.0f}" font-family="DejaVu Sans, Helvetica, Arial, '
            f'sans-serif">\n' + box(0, 0, WIDTH, y, "#fff") + "\n" + "\n".join(first + second) + "\n</svg>\n")
