"""Speed of counting a works snapshot, against gunzip alone and against a loop over `json.loads`.

    python benchmarks/snapshot.py [--works 1000000] [--files 16] [--workers 2] [--repeats 2]

Draws a snapshot of OpenAlex's shape (JSON lines of some 3 kB, gzip, a third of the size packed),
counts it, and prints for `gunzip` to nowhere, `mlcoop data aggregate` and the loop: MB of JSON a
second, by the clock and by processor time, the best of some repeats taken in turns; their ratios;
peak memory for a quarter of the works and for all; what a finished run takes again. The loop counts
a quarter of the files, and its counts are compared with ours of the same files.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from mlcoop.countries import iso3_of
from mlcoop.sources.openalex.snapshot_counts import read_counts

# fmt: off
CODES = [
    "US", "CN", "GB", "DE", "FR", "IT", "IN", "JP", "CA", "AU", "ES", "KR", "BR", "NL", "RU", "CH",
    "SE", "PL", "TR", "IR", "NA", "XK", "TW", "HK", "MN",
]
# fmt: on


def draw(root: Path, works: int, files: int) -> int:
    """Write a snapshot of `works` works in `files` files; return the bytes of JSON in it."""
    rng = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgk"
    words = ["".join(rng.choices(letters, k=rng.randrange(2, 11))) for _ in range(6000)]
    # Abstracts weigh most and tell nothing of countries: a few hundred, drawn once.
    abstracts = []
    for _ in range(400):
        places = {
            rng.choice(words): sorted(rng.sample(range(160), rng.choice([1, 1, 1, 2, 3])))
            for _ in range(90)
        }
        abstracts.append(json.dumps(places))
    homes = rng.choices(CODES, weights=range(len(CODES), 0, -1), k=20_000)
    written = 0
    for i in range(files):
        path = root / f"updated_date=2026-01-{i + 1:02}" / "part_000.gz"
        path.parent.mkdir(parents=True)
        with gzip.open(path, "wb", compresslevel=6) as file:
            for _ in range(works // files):
                line = _work(rng, homes, words, abstracts).encode()
                written += len(line)
                file.write(line)
    return written


def _work(
    rng: random.Random, homes: Sequence[str], words: Sequence[str], abstracts: Sequence[str]
) -> str:
    home = homes[rng.randrange(len(homes))]
    authors = ", ".join(
        f'{{"author": {{"id": "https://openalex.org/A{rng.getrandbits(32)}", "display_name": '
        f'"{words[rng.randrange(6000)]} {words[rng.randrange(6000)]}"}}, "countries": '
        f'["{home if rng.random() < 0.8 else homes[rng.randrange(20_000)]}"], "institutions": '
        f'[{{"id": "https://openalex.org/I{rng.getrandbits(26)}"}}]}}'
        for _ in range(rng.choice((1, 2, 3, 4, 6, 10)))
    )
    flags = '"is_retracted": false, "is_paratext": false'
    return (
        f'{{"id": "https://openalex.org/W{rng.getrandbits(32)}", "publication_year": '
        f'{2000 + rng.randrange(24)}, "type": "article", {flags}, "authorships": [{authors}], '
        '"primary_topic": {"domain": {"id": "https://openalex.org/domains/'
        f'{1 + rng.randrange(4)}"}}}}, "citation_normalized_percentile": {{"is_in_top_10_percent": '
        f'{"true" if rng.random() < 0.1 else "false"}}}, "abstract_inverted_index": '
        f"{abstracts[rng.randrange(400)]}}}\n"
    )


def obvious(files: Sequence[Path]) -> Counter:
    """Count a work at a time."""
    found: Counter = Counter()
    for path in files:
        with gzip.open(path, "rt") as file:
            for line in file:
                work = json.loads(line)
                if work["is_retracted"] or work["is_paratext"]:
                    continue
                countries = {c for a in work["authorships"] for c in a["countries"]}
                for a, b in combinations(sorted(countries), 2):
                    found[a, b, work["publication_year"]] += 1
    return found


def in_iso3(found: Counter) -> dict[tuple[str, str, int], int]:
    """Return the loop's counts under ISO3 codes, ends in order."""
    return {
        (*sorted((str(iso3_of(a)), str(iso3_of(b)))), year): n for (a, b, year), n in found.items()
    }


ALONE = """
import resource, sys
from mlcoop.sources.openalex import snapshot
if __name__ == "__main__":
    snapshot.MEMORY = "500MB"
    snapshot.aggregate(sys.argv[1], sys.argv[2], workers=int(sys.argv[3]))
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    print(max(resource.getrusage(w).ru_maxrss for w in who) / 1024)
"""


def timed(command: Sequence[str]) -> tuple[float, float, str]:
    """Return seconds by the clock and of processor time of a command, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    clock = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return clock, used, done.stdout


def main() -> None:
    """Draw, count, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--works", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        program = place / "count.py"
        program.write_text(ALONE)
        root, quarter = place / "works", place / "quarter"
        size = draw(root, options.works, options.files)
        files = sorted(root.rglob("*.gz"))
        packed = sum(f.stat().st_size for f in files)
        few = files[: max(1, options.files // 4)]
        for file in few:
            link = quarter / file.parent.name / file.name
            link.parent.mkdir(parents=True)
            link.hardlink_to(file)
        part = sum(gzip_size(f) for f in few)
        print(f"{options.works:,} works, {size / 1e6:,.0f} MB of JSON, {packed / 1e6:,.0f} MB gzip")

        best: dict[str, list[float]] = {}

        def note(name: str, clock: float, used: float, of: int) -> None:
            speeds = best.setdefault(name, [0.0, 0.0])
            best[name] = [max(speeds[0], of / 1e6 / clock), max(speeds[1], of / 1e6 / used)]

        memory = 0.0
        for i in range(options.repeats):
            clock, used, _ = timed(
                ["sh", "-c", f"gunzip -c {' '.join(map(str, files))} >/dev/null"]
            )
            note("gunzip to nowhere", clock, used, size)
            count = [sys.executable, str(program), str(root), str(place / f"out{i}")]
            clock, used, printed = timed([*count, str(options.workers)])
            note("mlcoop data aggregate", clock, used, size)
            memory = float(printed)
            began, busy = time.perf_counter(), time.process_time()
            expected = obvious(few)
            took = (time.perf_counter() - began, time.process_time() - busy)
            note("loop over json.loads", *took, part)
        again, _, _ = timed([*count, str(options.workers)])
        count = [sys.executable, str(program), str(quarter), str(place / "part")]
        _, _, printed = timed([*count, str(options.workers)])
        table = read_counts(place / "part").table
        got = {(r.country_a, r.country_b, r.year): r.works for r in table.itertuples()}

        print(f"{'MB of JSON a second':26}{'by the clock':>14}{'by processor':>14}")
        for name, speeds in best.items():
            print(f"{name:26}{speeds[0]:14,.0f}{speeds[1]:14,.0f}")
        ours = best["mlcoop data aggregate"]
        for name in ("gunzip to nowhere", "loop over json.loads"):
            ratios = [a / b for a, b in zip(ours, best[name], strict=True)]
            print(f"ours / {name:19}{ratios[0]:14.2f}{ratios[1]:14.2f}")
        print(f"peak memory, a quarter of the works {float(printed):>22.0f} MB")
        print(f"peak memory, all works              {memory:>22.0f} MB")
        print(f"a finished run again                {again:>22.1f} s")
        print(f"counts equal the loop's             {got == in_iso3(expected)!s:>22}")


def gzip_size(file: Path) -> int:
    """Return the bytes that a gzip file of less than 4 GB unpacks to."""
    return int.from_bytes(file.read_bytes()[-4:], "little")


if __name__ == "__main__":
    main()
