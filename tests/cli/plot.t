#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# quantscope plot: pictures as others read them (Python's XML, zlib), and what a failed write leaves behind: nothing.
. "$top_srcdir/tests/cli/lib.sh"
m=small.safetensors

cat >pic.py <<'P'
import re, struct, xml.etree.ElementTree as ET, zlib
S = "{http://www.w3.org/2000/svg}"
def svg(path):
    root = ET.parse(path).getroot()
    words = root.find(S + "desc").text.split("\n")
    glyphs = [u for u in root.iter(S + "use") if "#glyph" in u.get("{http://www.w3.org/1999/xlink}href")]
    # Everything that the description says is really drawn: a sign a letter.
    assert len(glyphs) == sum(len(w) for w in words), (len(glyphs), sum(len(w) for w in words))
    return root, words
def rgb(hexa):
    r, g, b = (int(hexa[i:i + 2], 16) / 2.55 for i in (0, 2, 4))
    return r, g, b
def paths(root, kind, hexa):     # paths that are filled or stroked in a colour
    out = []
    for p in root.iter(S + "path"):
        m = re.search(kind + r":rgb\(([\d.]+)%,([\d.]+)%,([\d.]+)%\)", p.get("style") or "")
        if m and all(abs(float(a) - b) < 0.3 for a, b in zip(m.groups(), rgb(hexa))): out.append(p)
    return out
def png(path):
    raw = open(path, "rb").read()
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    at, data = 8, b""
    while at < len(raw):
        n, kind = struct.unpack(">I4s", raw[at:at + 8])
        body = raw[at + 8:at + 8 + n]
        assert struct.unpack(">I", raw[at + 8 + n:at + 12 + n])[0] == zlib.crc32(kind + body)
        if kind == b"IHDR": w, h, depth, color = struct.unpack(">IIBB", body[:10])
        if kind == b"IDAT": data += body
        at += 12 + n
    assert depth == 8 and color == 2
    flat, rows, prev = zlib.decompress(data), [], bytes(3 * w)
    for y in range(h):
        f, line = flat[y * (3 * w + 1)], bytearray(flat[y * (3 * w + 1) + 1:(y + 1) * (3 * w + 1)])
        for i in range(3 * w):
            a, b, c = line[i - 3] if i > 2 else 0, prev[i], prev[i - 3] if i > 2 else 0
            p = a + b - c
            pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
            line[i] = line[i] + (0, a, b, (a + b) // 2, a if pa <= pb and pa <= pc else b if pb <= pc else c)[f] & 255
        rows.append(bytes(line)); prev = bytes(line)
    return w, h, rows
P

run plot hist $m --tensor fc.weight --format int4 --init mse -o h.svg; exits 0 "a histogram as SVG"
[ ! -s out ]; verdict $? "and nothing is printed"
py "says what it is, and shows its levels" <<'P'
from pic import *
root, words = svg("h.svg")
for w in ("fc.weight", "int4 mse", "value", "count", "values"): assert w in words, words
assert sum(w.startswith("clip ") for w in words) == 2
assert root.get("width") == "960pt" and root.get("height") == "540pt"
assert root.find(S + "title").text == "fc.weight"
assert len(paths(root, "fill", "56B4E9")) == 2                     # the bars are one shape, and its sample in the legend
assert len(paths(root, "stroke", "009E73")) == 2 + 16 * 2          # mse is green: its sample, the rule, 16 levels on it and through the bars
assert len(paths(root, "stroke", "D55E00")) == 2                   # clip bounds
P
"$qs" -e 'local x = {} for i = 1, 2000 do x[i] = math.sin(i) end x[7] = 900
    local t = qs.tensor({20, 100}, x) print(qs.plot("hist", t, {qs.init("mse", t, "int4"), qs.init("lsq", t, "int4")})) print(qs.plot("heat", t))' >out
has out 'int4 mse  .* int4 lsq' "two quantizers are told apart"; has out 'value \(1 beyond\)' "an outlier is counted where it is not in sight"
has out '^value \(1 beyond\)' "and does not take the colours of a heat map"
run plot curve $m --tensor fc.weight --format int3 --init mse,lsq,minmax -o c.svg; exits 0 "an error curve"
py "with the initializations that were named" <<'P'
from pic import *
root, words = svg("c.svg")
for w in ("step", "mean squared error", "error", "rounding", "clipping", "mse", "lsq", "minmax"): assert w in words, words
assert "octav" not in words
assert len(paths(root, "fill", "009E73")) == 1 and len(paths(root, "fill", "E69F00")) == 1     # the disc of mse, the triangle of lsq
P
run plot curve $m --tensor fc.weight -o c.pdf; exits 0 "PDF"
py "is one page" <<'P'
raw = open("c.pdf", "rb").read()
assert raw[:5] == b"%PDF-" and raw.rstrip().endswith(b"%%EOF")
import re
assert len(re.findall(rb"/Type\s*/Page\b", raw)) == 1
P
run plot hist $m --tensor fc.weight -o h.png --width 320 --height 180 --font 9; exits 0 "PNG"
py "of the size that was asked for, and not blank" <<'P'
from pic import *
w, h, rows = png("h.png")
assert (w, h) == (320, 180)
flat = [tuple(r[i:i + 3]) for r in rows for i in range(0, 3 * w, 3)]
assert flat.count((0x56, 0xB4, 0xE9)) > 1000 and flat.count((255, 255, 255)) > 10000
P
run plot heat $m --tensor fc.weight -o heat.svg; exits 0 "a heat map"
"$qs" -e 'assert(qs.plot("heat", {{-1, 0}, {1, 0/0}}):save("four.png", {width=400, height=225}))'
py "its colours: least blue, most red, 0 between them, nothing where there is no number" <<'P'
from pic import *
w, h, rows = png("four.png")
at = lambda x, y: tuple(rows[int(y * h)][3 * int(x * w):3 * int(x * w) + 3])
assert at(.25, .4) == (0x00, 0x5F, 0xAF) and at(.25, .8) == (0xAF, 0x00, 0x00), (at(.25, .4), at(.25, .8))
r, g, b = at(.6, .4)
assert r > 180 and g > 180 and b > 150 and (r, g, b) != (255, 255, 255) and at(.6, .7) == (255, 255, 255), (r, g, b)
P
printf 'step,loss,accuracy\n1,2,0.1\n2,1,\n3,0.5,0.7\n' >r.csv
run plot r.csv -o r.svg --log y --title 'A <title> & more'; exits 0 "a CSV file"
py "a line a column" <<'P'
from pic import *
root, words = svg("r.svg")
assert "loss" in words and "accuracy" in words and "A <title> & more" in words and "r.csv" not in words
assert len(paths(root, "stroke", "0072B2")) == 2 and len(paths(root, "stroke", "E69F00")) == 2     # the line and its sample
P
run plot r.csv --y accuracy; exits 0 "without -o"
has out accuracy "the plot is text"
"$qs" -e 'assert(qs.plot("train", {lsq={{1,2,3},{2,3,4}}, mse={{3,2,1},{3,3,1}}}):save("t.svg"))'
py "a band over seeds is a surface of the colour of its line" <<'P'
from pic import *
root, words = svg("t.svg")
for c in ("0072B2", "E69F00"):
    fill = paths(root, "fill", c)
    assert len(fill) == 1 and "fill-opacity:0.25" in fill[0].get("style"), c
    assert len(paths(root, "stroke", c)) == 2
assert "lsq (2)" in words and any("95 % interval" in w for w in words)
P

# Straight from a results database (tests/golden/results.py): curves, a metric along a parameter, a grid.
cp "$top_srcdir/tests/golden/results/v1.db" r.db && chmod u+w r.db
run plot --db r.db --sweep race --by init -o curves.svg; exits 0 "training curves of a sweep"
py "a line and a band a group, the bands below all lines, and in the title what all have" <<'P'
from pic import *
root, words = svg("curves.svg")
for w in ("mse (10)", "lsq (9)", "adaptive (9)", "loss (mean, 95 % interval)", "place in the series", "race  loss  n=0.1"): assert w in words, words
order = list(root.iter(S + "path"))
bands = [paths(root, "fill", c) for c in ("0072B2", "E69F00", "009E73")]
assert all(len(b) == 1 and "fill-opacity:0.25" in b[0].get("style") for b in bands)
assert max(order.index(b[0]) for b in bands) < order.index(paths(root, "stroke", "0072B2")[0])
P
run plot series r.db --sweep race --by init --filter 'bits=2,init=lsq|mse' --title slide -o few.svg; exits 0 "of cells that are chosen"
py "only these" <<'P'
from pic import *
words = svg("few.svg")[1]
assert "mse (5)" in words and "lsq (4)" in words and not any("adaptive" in w for w in words) and "slide" in words, words
P
run plot --db r.db --sweep race --metric accuracy --by init -o metric.svg; exits 0 "a metric along the parameter that is a number"
py "no ticks between whole numbers" <<'P'
from pic import *
words = svg("metric.svg")[1]
for w in ("bits", "2", "3", "4", "mse", "accuracy (mean, 95 % interval, up to 5 cells)"): assert w in words, words
assert not any(w in ("2.5", "3.5", "2.0") for w in words), words
P
run plot grid r.db --sweep race --by init,bits -o grid.svg; exits 0 "a grid of two parameters"
py "the means stand in it" <<'P'
from pic import *
words = svg("grid.svg")[1]
for w in ("mse", "lsq", "adaptive", "2", "4", "bits", "mean accuracy", "0.91", "0.86"): assert w in words, (w, words)
P
run plot grid r.db --sweep race --by init,bits; has out ' 0\.91 ' "as text too"

# What is wrong is named.
run plot --db r.db; exits 2 "a database of several sweeps"; has err 'choose one: race, empty' "lists them"
run plot --db r.db --sweep race --series los; exits 2 "a series that is none"; has err 'there are: loss' "lists them"
run plot --db r.db --sweep race --by inits; exits 2 "a parameter that is none"; has err 'there are: bits, init, n, seed' "lists them"
run plot --db r.db --sweep race --by init,bits,seed; exits 1 "too many curves"; has err '[0-9]+ curves by init, bits, seed; at most 8' "counts them"
run plot --db r.db --sweep race --filter bits=3; exits 2 "a value that is none"
run plot --db r.db --sweep race --filter bits; exits 2 "a filter that is none"
run plot metric r.db --sweep race --x init; exits 2 "names along an axis"
run plot grid r.db --sweep race --by init; exits 2 "a grid of one parameter"
run plot grid r.db --sweep race --by init,bits --metric x; exits 2 "a metric that is none"; has err 'accuracy, loss' "lists them"
run plot --db nix.db; exits 3 "a database that is none"; has err 'nix.db' "names it"
run plot --db $m; exits 3 "a file that is no database"
run plot hist $m --tensor fc.weight -o a.gif; exits 2 "another ending"
has err '\.svg, \.pdf or \.png' "lists the three"
run plot nix $m; exits 2 "a kind that is none"; has err 'there are hist, curve' "lists them"
run plot train $m; exits 2 "a kind of Lua's"; has err 'only in Lua, as qs.plot\("train"' "says so"
run plot hist $m; exits 2 "no tensor"; has err 'quantscope list' "says where the names are"
run plot hist $m --tensor nix; exits 2 "a tensor that is none"
run plot hist nix.safetensors --tensor a; exits 3 "a model that is none"; has err 'nix.safetensors' "names it"
run plot nix.csv; exits 3 "a table that is none"
run plot hist $m --tensor fc.weight --format int99; [ "$code" != 0 ]; verdict $? "a format that is none"
run plot hist; exits 2 "no file"
run plot r.csv --log z; exits 2 "a logarithm of what"

# Writes that fail leave nothing, and what was there stays.
run plot r.csv -o no/such/a.svg; exits 3 "no such folder"; has err 'no/such/a.svg: No such file' "is named"
mkdir d.svg; run plot r.csv -o d.svg; exits 3 "a folder of that name"
echo old >keep.png; cp keep.png want
(ulimit -f 8; trap '' XFSZ; "$qs" plot r.csv -o keep.png >out 2>err </dev/null); code=$?; exits 3 "disk full"
has err 'keep.png: (File too large|No space)' "is named"
cmp -s keep.png want; verdict $? "what was there stays"
if [ -c /dev/full ]; then
    ln -s /dev/full full.svg; run plot r.csv -o full.svg; exits 3 "no space"; has err 'full.svg: No space left' "is named"
else
    n=$((n + 1)); echo "ok $n - no /dev/full here"
fi
if [ "$(id -u)" != 0 ]; then
    mkdir ro; chmod a-w ro; run plot r.csv -o ro/a.svg; exits 3 "a folder that is read-only"; chmod u+w ro
fi
[ -z "$(find . -name '*.tmp*')" ]; verdict $? "no half file is left"
finish
