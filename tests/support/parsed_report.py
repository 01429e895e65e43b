"""Parse a report's page into elements, totals, bars and rows, for tests."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

_WITHOUT_END = {"meta", "link", "br"}


@dataclass(eq=False)
class Element:
    """An element, with the text of all its descendants."""

    name: str
    attributes: dict[str, str | None]
    ancestors: list[Element] = field(repr=False)
    text: str = ""

    def is_within(self, name: str) -> bool:
        """Return whether an ancestor has a name."""
        return any(element.name == name for element in self.ancestors)

    @property
    def words(self) -> str:
        """The text with the white space that browsers show."""
        return " ".join(self.text.split())


class Page(HTMLParser):
    """A page; HTML that is not well-formed raises an AssertionError."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert self._open == [], "not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"repeated attribute: {attrs}"
        element = Element(tag, dict(attrs), list(self._open))
        self.elements.append(element)
        if tag not in _WITHOUT_END:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().name == tag, f"closed in the wrong order: {tag}"

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, name: str, within: str = "html") -> list[Element]:
        """Return the elements with a name, in order."""
        return [element for element in self.elements if element.name == name and element.is_within(within)]

    def totals(self, exact: bool = False) -> dict[str, tuple[str, str]]:
        """Return the value and the note of each total, by name; with every digit if exact."""
        names = [element.words for element in self.all("dt")]
        values = [(exact and element.attributes.get("title")) or element.words for element in self.all("dd")]
        return dict(zip(names, zip(values[::2], values[1::2], strict=True), strict=True))

    def links(self) -> dict[str, str | None]:
        """Return the address of each link, by its text."""
        return {one.words: one.attributes["href"] for one in self.all("a")}

    def legends(self) -> dict[str, list[str]]:
        """Return the lines of each legend, by the chart's title."""
        lines: dict[str, list[str]] = {}
        for line in self.all("li", "figure"):
            if line.ancestors[-1].attributes["class"] == "legend":
                lines.setdefault(self._title(line), []).append(line.words)
        return lines

    def bars(self) -> dict[str, list[tuple[str, str, float]]]:
        """Return the bars of each chart of bars, by title: name, label, length as a part of the longest."""
        charts: dict[str, list[tuple[str, str, float]]] = {}
        for bar in [element for element in self.all("li") if "bars" in str(element.ancestors[-1].attributes)]:
            name, label = [self._within(bar, element)[0].words for element in ("bdi", "span")]
            length = (self._within(bar, "i")[0].attributes["style"] or "").removeprefix("--length: ")
            charts.setdefault(self._title(bar), []).append((name, label, float(length)))
        return charts

    def _within(self, element: Element, name: str) -> list[Element]:
        return [found for found in self.all(name) if element in found.ancestors]

    def _title(self, element: Element) -> str:
        (figure,) = [found for found in element.ancestors if found.name == "figure"]
        return self._within(figure, "h2")[0].words

    def rows(self, exact: bool = False) -> list[dict[str, str]]:
        """Return the rows of the first table, by the labels that a phone shows; with every digit if exact."""
        tables = self.all("table")[:1]
        rows = []
        for row in self.all("tr", "tbody"):
            if not set(tables) & set(row.ancestors):
                continue
            (name,) = [one.words for one in self.all("th", "tbody") if row in one.ancestors]
            cells = [one for one in self.all("td") if row in one.ancestors]
            rows.append(
                {
                    "Scenario": name,
                    **{
                        str(one.attributes["data-label"]): (exact and one.attributes.get("title")) or one.words
                        for one in cells
                    },
                }
            )
        return rows


def assert_self_contained(text: str) -> None:
    """Check that a page loads and runs nothing, and links only to Make."""
    page = Page(text)
    names = {element.name for element in page.elements}
    assert names.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "image", "use", "base", "form"})
    attributes = {name for element in page.elements for name in element.attributes}
    assert attributes.isdisjoint({"src", "xlink:href", "srcset", "action", "data", "poster", "background"})
    assert not [name for name in attributes if name.startswith("on")]
    assert {element.name for element in page.elements if "href" in element.attributes} == {"a"}
    addresses = page.links().values()
    assert all(re.fullmatch(r"https://eu1\.make\.com/[a-z0-9/]+", address or "") for address in addresses)
    without_links = re.sub(r'href="[^"]*"', "", text)
    assert not re.search(r"url\(|@import|https?:|//", without_links)
    policies = {element.attributes.get("http-equiv"): element.attributes["content"] for element in page.all("meta")[1:]}
    assert policies["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert {"name": "referrer", "content": "no-referrer"} in [element.attributes for element in page.all("meta")]


def assert_accessible(text: str, title: str) -> None:
    """Check that a page is valid, and can be read by everybody."""
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>\n")
    assert page.elements[0].attributes == {"lang": "en"}
    assert [one.attributes.get("charset") for one in page.all("meta")][0] == "utf-8"
    assert "width=device-width, initial-scale=1" in [one.attributes.get("content") for one in page.all("meta")]
    assert page.all("title")[0].words == title
    assert len(page.all("main")) == len(page.all("h1")) == 1
    assert not [element for element in page.elements if "id" in element.attributes]
    assert all("viewbox" in svg.attributes and "width" not in svg.attributes for svg in page.all("svg"))
