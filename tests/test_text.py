"""Text from a server, made safe for databases, logs and terminals."""

from __future__ import annotations

import pytest

from airflow_provider_make.text import plural, replace_unprintable, replace_unstorable


@pytest.mark.parametrize("character", ["\x00", "\ud83d", "\udc00"])
def test_what_cannot_be_stored_is_replaced_everywhere(character: str) -> None:
    assert replace_unstorable(f"a{character}b") == replace_unprintable(f"a{character}b") == "a\ufffdb"


@pytest.mark.parametrize("character", ["\x1b", "\r", "\x07", "\x7f", "\x9b", "\u202e", "\u2066", "\u2028", "\x0b"])
def test_what_changes_a_terminal_is_replaced_where_people_read_it(character: str) -> None:
    assert replace_unstorable(f"a{character}b") == f"a{character}b"
    assert replace_unprintable(f"a{character}b") == "a\ufffdb"


@pytest.mark.parametrize("text", ["", "tab\tand\nnewline", "Übersicht 🚀", "שלום\u200f", "zero\u200dwidth joiner"])
def test_other_text_stays(text: str) -> None:
    assert replace_unstorable(text) == replace_unprintable(text) == text


@pytest.mark.parametrize(("number", "noun"), [(0, "requests"), (1, "request"), (2, "requests"), (1000, "requests")])
def test_noun_after_a_number_is_singular_for_one_only(number: int, noun: str) -> None:
    assert plural(number, "request") == noun
