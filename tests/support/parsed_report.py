"""A page as a browser takes it in: its elements and what they say."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_WITHOUT_END = {"meta", "link", "br"}


@dataclass(eq=False)
class Element:
    """An element, with the text of all within."""

    name: str
    attributes: dict[str, str | None]
    above: list[Element] = field(repr=False)
    text: str = ""

    def is_within(self, name: str) -> bool:
        """Whether an element of a name is around it."""
        return any(element.name == name for element in self.above)

    @property
    def words(self) -> str:
        """The text, as browsers show it."""
        return " ".join(self.text.split())


class Page(HTMLParser):
    """A page; what is not well-formed is an AssertionError."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert self._open == [], "not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice: {attrs}"
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
        """The elements of a name, in their order."""
        return [element for element in self.elements if element.name == name and element.is_within(within)]

    def totals(self) -> dict[str, tuple[str, str]]:
        """Of each total its value and its change."""
        names = [element.words for element in self.all("dt")]
        values = [element.words for element in self.all("dd")]
        return dict(zip(names, zip(values[::2], values[1::2], strict=True), strict=True))

    def charts(self) -> dict[str, list[tuple[str, str, float]]]:
        """Of each chart its bars: name, label, length."""
        found = {}
        for figure in self.all("figure"):
            (title,) = [one.words for one in self.all("h2") if figure in one.above]
            texts = [one.text for one in self.all("text") if figure in one.above]
            paths = [one.attributes["d"] or "" for one in self.all("path") if figure in one.above]
            lengths = [float(path.split()[4]) for path in paths]
            found[title] = list(zip(texts[::2], texts[1::2], lengths, strict=True))
        return found

    def rows(self) -> list[dict[str, str]]:
        """The table's rows, by what they are labelled with on a phone."""
        found = []
        for row in self.all("tr", "tbody"):
            (name,) = [one.words for one in self.all("th", "tbody") if row in one.above]
            cells = [one for one in self.all("td") if row in one.above]
            found.append({"Scenario": name, **{str(one.attributes["data-label"]): one.words for one in cells}})
        return found
