#!/usr/bin/env python3
"""Folds what `perf script` printed and draws it as one SVG without a script: a box for each function, as
wide as its samples, callers below. Inlined functions are boxes too. Called by flamegraph.sh:
flamegraph.py SAMPLES ROLES PROGRAM OUT TITLE SUBTITLE"""
import re, subprocess, sys
from collections import Counter
from xml.sax.saxutils import escape, quoteattr

WIDTH, ROW, TOP, LEAST = 1400, 17, 62, 0.002
# What stacks are counted as: the first whose pattern is in any frame, looked at from the leaf.
KINDS = [
    ("kernel: copies of payload", r"copy_user|copy_(to|from)_iter|copyin|copyout|rep_movs|copy_page_from_iter|skb_copy_datagram"),
    ("CRC", r"crc32c|crc_u64"),
    ("placement copy", r"memory::cache|place_from|copy_stream|streaming|Placer.*place|memmove|memcpy"),
    ("index walk", r"Index::walk"),
    ("clock", r"clock_gettime"),
    ("switches", r"__schedule$|^schedule|sched_yield|__switch_to|pick_next|finish_task|switch_mm"),
    ("rings", r"pipe::|ring::|Ring"),
    ("kernel: the rest of UDP and system calls", r"\[k\]"),
]


def symbols(program, addresses):
    """Functions at each address, outermost first: inlined ones too."""
    lines = subprocess.run(["llvm-symbolizer", "--inlines", "-f", "-C", "--output-style=GNU", "-a", "-e", program],
                           input="\n".join(addresses), capture_output=True, text=True, check=True).stdout
    found, at = {}, None
    for line in lines.split("\n"):
        if re.fullmatch(r"0x[0-9a-f]+", line):
            at = found.setdefault(int(line, 16), [])
        elif at is not None and line and not re.search(r":(\d+|\?)( \(.*\))?$", line):
            at.insert(0, line)
    return found


def short(name):
    """A path without generic arguments and hashes."""
    for mark, meant in (("_$LT$", "<"), ("$LT$", "<"), ("$GT$", ">"), ("$u20$", " "), ("$C$", ","), ("..", "::"), (" ()", "")):
        name = name.replace(mark, meant)
    name = re.sub(r"::h[0-9a-f]{16}$|::llvm::\d+|\.llvm\.\d+", "", name)
    inherent = re.match(r"<(.+?)(?: as .+)?>::(\w+.*)$", name)
    name = f"{inherent[1]}::{inherent[2]}" if inherent else name
    while (less := re.sub(r"(::)?<[^<>]*>", "", name)) != name:
        name = less
    return "::".join(name.split("::")[-3:])


def samples(path):
    """Process, processor and frames (address, name), leaf first."""
    for block in open(path).read().split("\n\n"):
        head, *frames = block.strip("\n").split("\n")
        match = re.search(r"(\d+)/\d+ +\[(\d+)\]", head)
        if match:
            found = (re.match(r"\s*([0-9a-f]+) (.*) \((.*)\)$", f) for f in frames)
            yield match[1], int(match[2]), [(int(f[1], 16), f[2], f[3]) for f in found if f]


def bias(program):
    """perf prints places in files; the symbolizer takes addresses."""
    for line in subprocess.run(["readelf", "-lW", program], capture_output=True, text=True, check=True).stdout.split("\n"):
        if re.search(r"LOAD.* R E ", line):
            _, offset, address = line.split()[:3]
            return int(address, 16) - int(offset, 16)


def fold(path, roles, program):
    known = [s for s in samples(path)]
    own, shift = program.rsplit("/", 1)[-1], bias(program)
    places = {ip + shift for _, _, frames in known for ip, _, file in frames if file.endswith("/" + own)}
    inlined = symbols(program, [hex(place) for place in sorted(places)])
    stacks, others = Counter(), 0
    for pid, cpu, frames in known:
        if pid not in roles:
            others += 1
            continue
        names = []
        for ip, name, file in reversed(frames):
            mine = inlined.get(ip + shift, []) if file.endswith("/" + own) else []
            name = name + " [k]" if ip >> 60 else short(name)
            names += [short(n) for n in mine] or [name]
        # What starts every thread says nothing.
        start = next((i for i, n in enumerate(names) if re.search(r"compare::|micro::|pipe::|\[k\]", n)), 0)
        stacks[(f"CPU {cpu}", roles[pid], *names[start:])] += 1
    return stacks, others


def kind(stack):
    for name, pattern in KINDS:
        if any(re.search(pattern, frame) for frame in stack[2:]):
            return name
    return "everything else"


def draw(stacks, title, lines, out):
    total = sum(stacks.values())
    boxes, depth, left_out = [], 0, 0

    def place(prefix, items, x):
        nonlocal depth, left_out
        below = {}
        for stack, count in items:
            if len(stack) > len(prefix):
                below.setdefault(stack[len(prefix)], []).append((stack, count))
        for name, inner in sorted(below.items()):
            count = sum(c for _, c in inner)
            if count < LEAST * total:
                left_out += 1
            else:
                depth = max(depth, len(prefix) + 1)
                boxes.append((name, len(prefix), x, count))
                place(prefix + (name,), inner, x)
            x += count
    place((), list(stacks.items()), 0)
    lines = [*lines, f"{total} samples. {left_out} boxes narrower than {LEAST:.1%} are left out."]
    top = TOP + 14 * len(lines)
    height = top + ROW * depth + 10
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">',
           "<style>.k{fill:#e8a05c}.u{fill:#8fb8de}.r{fill:#cccccc}rect{stroke:#fff;stroke-width:.5}</style>",
           f'<rect width="{WIDTH}" height="{height}" style="fill:#fff"/>',
           f'<text x="10" y="26" font-size="18">{escape(title)}</text>']
    svg += [f'<text x="10" y="{46 + 14 * i}">{escape(line)}</text>' for i, line in enumerate(lines)]
    scale = (WIDTH - 20) / total
    for name, level, x, count in boxes:
        wide, left, y = count * scale, 10 + x * scale, height - 8 - ROW * (level + 1)
        color = "r" if level < 2 else "k" if name.endswith("[k]") else "u"
        room = int((wide - 4) / 6.7)
        text = name if len(name) <= room else name[:room - 1] + "…" if room > 2 else ""
        svg.append(f'<g><title>{escape(name)}: {count / total:.1%}</title><rect class="{color}" x="{left:.1f}" y="{y}" '
                   f'width="{wide:.1f}" height="{ROW}"/>' + (f'<text x="{left + 2:.1f}" y="{y + 12}">{escape(text)}</text>' if text else "") + "</g>")
    open(out, "w").write("\n".join(svg + ["</svg>", ""]))


def main(path, roles, program, out, title, subtitle):
    roles = dict(line.rstrip("\n").split(" ", 1) for line in open(roles))
    stacks, others = fold(path, roles, program)
    total, kinds, leaves = sum(stacks.values()), Counter(), Counter()
    for stack, count in stacks.items():
        kinds[kind(stack)] += count
        leaves[stack[-1]] += count
    for name, count in kinds.most_common() + leaves.most_common(25):
        print(f"{count / total:6.1%}  {name}")
    print(f"{others} samples of other processes and of idle processors are not drawn")
    draw(stacks, title, [subtitle, "blue: user space, orange: kernel; width: share of samples"], out)


main(*sys.argv[1:])
