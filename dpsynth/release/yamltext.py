"""A little YAML that people edit afterwards: mappings, lists, texts, numbers, and comments for what is still open.

Texts are quoted, or literal blocks where they have several lines. Nothing here reads YAML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Node: TypeAlias = "str | Plain | Open | Sequence[str] | Mapping[str, Node]"


@dataclass(frozen=True)
class Plain:
    """A token that is written as it is: a number, or a word that needs no quotes."""

    text: str


@dataclass(frozen=True)
class Open:
    """Something that has no value yet: its key is written as a comment."""

    comment: str


def document(content: Mapping[str, Node], heading: str = "") -> str:
    """A mapping as a YAML document; ``heading`` is a comment that follows its first key, which holds no other."""
    first, *rest = _mapping(content, "")
    return "\n".join([first, *(f"# {line}" for line in heading.splitlines()), *rest]) + "\n"


def quoted(text: str) -> str:
    """A text in double quotes, on one line. What cannot be printed is escaped, by YAML's rules and not by JSON's."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    if letter.isprintable():
        return letter
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    code = ord(letter)
    return short.get(letter) or (f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}")


def _mapping(content: Mapping[str, Node], indent: str) -> Iterator[str]:
    for key, value in content.items():
        match value:
            case Open(comment):
                yield f"{indent}# {key}: {comment}"
            case Plain(text):
                yield f"{indent}{key}: {text}"
            case str():
                yield from _text(key, value, indent)
            case Mapping():
                yield f"{indent}{key}:"
                yield from _mapping(value, indent + "  ")
            case _:
                yield f"{indent}{key}:"
                yield from (f"{indent}  - {quoted(item)}" for item in value)


def _text(key: str, text: str, indent: str) -> Iterator[str]:
    lines = text.removesuffix("\n").split("\n")
    if len(lines) == 1 or lines[0][:1] in ("", " ") or not all(map(str.isprintable, lines)):
        yield f"{indent}{key}: {quoted(text)}"
        return
    yield f"{indent}{key}: |"
    yield from (f"{indent}  {line}".rstrip() for line in lines)
