"""Parse a report's page into elements, totals, charts and rows, for tests."""

from __future__ import annotations

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

    def totals(self) -> dict[str, tuple[str, str]]:
        """Return the value and the change of each total, by name."""
        names = [element.words for element in self.all("dt")]
        values = [element.words for element in self.all("dd")]
        return dict(zip(names, zip(values[::2], values[1::2], strict=True), strict=True))

    def charts(self) -> dict[str, list[tuple[str, str, float]]]:
        """Return the bars of each chart, by title: name, label, length."""
        charts = {}
        for figure in self.all("figure"):
            (title,) = [one.words for one in self.all("h2") if figure in one.ancestors]
            texts = [one.text for one in self.all("text") if figure in one.ancestors]
            paths = [one.attributes["d"] or "" for one in self.all("path") if figure in one.ancestors]
            lengths = [float(path.split()[4]) for path in paths]
            charts[title] = list(zip(texts[::2], texts[1::2], lengths, strict=True))
        return charts

    def rows(self) -> list[dict[str, str]]:
        """Return the table's rows, by the labels that a phone shows."""
        rows = []
        for row in self.all("tr", "tbody"):
            (name,) = [one.words for one in self.all("th", "tbody") if row in one.ancestors]
            cells = [one for one in self.all("td") if row in one.ancestors]
            rows.append({"Scenario": name, **{str(one.attributes["data-label"]): one.words for one in cells}})
        return rows
