"""A reader of pages for tests: tables, headings and addresses, through html.parser."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "input", "img", "hr"}
LOADING = {"src", "href", "srcset", "data", "poster", "action", "xlink:href"}


@dataclass
class PageTable:
    """Heads by CSV key ("" where there is none), and rows of (raw value, text)."""

    keys: list[str] = field(default_factory=list)
    rows: list[list[tuple[str, str]]] = field(default_factory=list)

    def column(self, key: str) -> list[str]:
        """Return the raw values of a column."""
        return [row[self.keys.index(key)][0] for row in self.rows]

    def texts(self, place: int) -> list[str]:
        """Return what is shown in a column."""
        return [row[place][1] for row in self.rows]


class Page(HTMLParser):
    """Parse a page; every tag must close in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: dict[str, PageTable] = {}
        self.headings: list[tuple[str, str]] = []
        self.loads: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.classes: list[str] = []
        self.ids: list[str] = []
        self.images: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self._table: PageTable | None = None
        self._cell: list[str] | None = None
        self._heading: list[str] | None = None
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {k: v or "" for k, v in attrs}
        self.tags.append(tag)
        self.classes += given.get("class", "").split()
        self.loads += [(k, v) for k, v in given.items() if k in LOADING or k.startswith("on")]
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "svg":
            self.images.append(given.get("aria-label", ""))
        if tag == "table":
            self._table = self.tables[given["id"]] = PageTable()
        if tag == "th" and self._table is not None:
            self._table.keys.append(given.get("data-key", ""))
        if tag == "tr" and self._table is not None and self._table.keys:
            self._table.rows.append([])
        if tag == "td" and self._table is not None:
            self._table.rows[-1].append((given.get("data-v", ""), ""))
            self._cell = []
        if tag in ("h1", "h2", "h3"):
            self._heading = []
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1] == tag, f"</{tag}> closes {self._open[-3:]}"
        self._open.pop()
        if tag == "td" and self._cell is not None and self._table is not None:
            value = self._table.rows[-1][-1][0]
            self._table.rows[-1][-1] = (value, "".join(self._cell))
            self._cell = None
        if tag == "table":
            self._table = None
        if tag in ("h1", "h2", "h3") and self._heading is not None:
            self.headings.append((tag, " ".join("".join(self._heading).split())))
            self._heading = None

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("style", "script"):
            return
        data = data.replace("\u00a0", " ")
        self.text += data
        if self._cell is not None:
            self._cell.append(data)
        if self._heading is not None:
            self._heading.append(data)
