"""Time and memory of counting a works snapshot, against the obvious count in plain Python.

    python benchmarks/snapshot.py [--works 40000] [--files 8]

Draws a snapshot of OpenAlex's shape (lines of some 3 kB, gzip), counts it, and prints: processor
seconds against a loop over `json.loads`, peak memory for one and for four times the works, the
share of the time that a finished run takes again, and the size of the counts. The counts of both
are compared too.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import combinations
from pathlib import Path

from mlcoop.countries import iso3_of
from mlcoop.sources.snapshot import read_counts

# fmt: off
CODES = [
    "US", "CN", "GB", "DE", "FR", "IT", "IN", "JP", "CA", "AU", "ES", "KR", "BR", "NL", "RU", "CH",
    "SE", "PL", "TR", "IR", "NA", "XK", "TW", "HK", "MN",
]
# fmt: on


def draw(root: Path, works: int, files: int) -> None:
    """Write a snapshot of `works` works in `files` files."""
    rng = random.Random(0)
    words = ["collaboration", "international", "measurement", "network", "of", "the", "and"]
    for i in range(files):
        path = root / f"updated_date=2026-01-{i + 1:02}" / "part_000.gz"
        path.parent.mkdir(parents=True)
        with gzip.open(path, "wt", compresslevel=3) as file:
            for _ in range(works // files):
                home = rng.choices(CODES, weights=range(len(CODES), 0, -1), k=1)[0]
                authors = [
                    {
                        "author": {"id": f"https://openalex.org/A{rng.randrange(10**9)}"},
                        "countries": [home if rng.random() < 0.8 else rng.choice(CODES)],
                        "institutions": [{"id": f"https://openalex.org/I{rng.randrange(10**6)}"}],
                    }
                    for _ in range(rng.choice([1, 2, 3, 4, 6, 10]))
                ]
                line = {
                    "id": f"https://openalex.org/W{rng.randrange(10**10)}",
                    "publication_year": rng.randrange(2000, 2024),
                    "type": "article",
                    "is_retracted": False,
                    "is_paratext": False,
                    "authorships": authors,
                    "primary_topic": {
                        "domain": {"id": f"https://openalex.org/domains/{rng.randrange(1, 5)}"}
                    },
                    "citation_normalized_percentile": {"is_in_top_10_percent": rng.random() < 0.1},
                    "abstract_inverted_index": {
                        f"{rng.choice(words)}{k}": [k, k + 7] for k in range(80)
                    },
                }
                file.write(json.dumps(line) + "\n")


def obvious(root: Path) -> Counter:
    """Count a work at a time."""
    found: Counter = Counter()
    for path in sorted(root.rglob("*.gz")):
        with gzip.open(path, "rt") as file:
            for line in file:
                work = json.loads(line)
                if work["is_retracted"] or work["is_paratext"]:
                    continue
                countries = {iso3_of(c) for a in work["authorships"] for c in a["countries"]}
                for a, b in combinations(sorted(c for c in countries if c), 2):
                    found[a, b, work["publication_year"]] += 1
    return found


ALONE = """
import resource, sys, time
from mlcoop.sources.snapshot import aggregate
began = time.process_time()
aggregate(sys.argv[1], sys.argv[2], memory="500MB")
print(time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def alone(root: Path, out: Path) -> tuple[float, float]:
    """Return processor seconds and peak memory in MB of `aggregate` in a process of its own."""
    command = [sys.executable, "-c", ALONE, str(root), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


def size(folder: Path, pattern: str) -> float:
    """Return the size of a folder's files in MB."""
    return sum(p.stat().st_size for p in folder.rglob(pattern)) / 1e6


def main() -> None:
    """Draw, count, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--works", type=int, default=40_000)
    parser.add_argument("--files", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        small, large = place / "small", place / "large"
        draw(small, options.works, options.files)
        for i in range(4):
            shutil.copytree(small, large / str(i))
        seconds, memory = alone(small, place / "out")
        again, _ = alone(small, place / "out")
        _, memory_large = alone(large, place / "out_large")
        began = time.process_time()
        expected = obvious(small)
        slow = time.process_time() - began
        table = read_counts(place / "out").table
        got = {(r.country_a, r.country_b, r.year): r.works for r in table.itertuples()}
        print(f"works                        {options.works:>10,}")
        print(f"snapshot, gzip               {size(small, '*.gz'):>10.1f} MB")
        print(f"counts                       {size(place / 'out', 'pairs.parquet'):>10.2f} MB")
        print(f"processor seconds            {seconds:>10.2f}")
        print(f"works a second               {options.works / seconds:>10,.0f}")
        print(f"plain Python / this          {slow / seconds:>10.2f} times the seconds")
        print(f"run again / first            {again / seconds:>10.2f} of the seconds")
        print(f"peak memory                  {memory:>10.0f} MB")
        print(f"peak memory, 4 times works   {memory_large / memory:>10.2f} times")
        print(f"counts equal                 {'yes' if got == dict(expected) else 'NO':>10}")


if __name__ == "__main__":
    main()
