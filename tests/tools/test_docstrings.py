from __future__ import annotations

import pytest

from codex_backend_sdk.tools.docstrings import parse_docstring

GOOGLE = """Book a table.

    Only for tonight.

    Args:
        guests: The number of guests,
            children included.
        name (str, optional): The name: first, last.
        tags (dict[str, tuple(int)]): Tags.
        a, b: Both.

    Keyword Args:
        seat: The seat.

    Note:
        Doors close at ten.

    Returns:
        A number: the booking.
    """
NUMPY = """Book a table.

    Only for tonight.

    Parameters
    ----------
    guests : int
        The number of guests,
        children included.
    name : str, optional
        The name: first, last.
    tags
        Tags.
    a, b : int
        Both.

    Other Parameters
    ----------------
    seat
        The seat.

    Notes
    -----
    Doors close at ten.

    Returns
    -------
    int
        A number: the booking.
    """
SPHINX = """Book a table.

    Only for tonight.

    :param guests: The number of guests,
        children included.
    :type guests: int
    :param str name: The name: first, last.
    :param dict[str, int] tags: Tags.
    :arg a: Both.
    :keyword b: Both.
    :kwarg seat: The seat.
    :note: Doors close at ten.
    :returns: A number: the booking.
    """
PARAMETERS = {
    "guests": "The number of guests,\nchildren included.",
    "name": "The name: first, last.",
    "tags": "Tags.",
    "a": "Both.",
    "b": "Both.",
    "seat": "The seat.",
}


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, SPHINX])
def test_parameters_of_all_styles_are_found(docstring: str) -> None:
    assert parse_docstring(docstring).parameters == PARAMETERS


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, SPHINX])
def test_other_sections_remain_in_the_text(docstring: str) -> None:
    text = parse_docstring(docstring).text
    assert text.startswith("Book a table.\n\nOnly for tonight.")
    for line in ("Doors close at ten.", "A number: the booking."):
        assert line in text
    for line in ("guests", "Tags", "seat", "Args", "Parameters", "\n\n\n"):
        assert line not in text


@pytest.mark.parametrize(
    "title", ["Args", "Arguments", "Params", "Parameters", "Other Parameters", "Keyword Arguments"]
)
def test_all_titles_are_recognized(title: str) -> None:
    assert parse_docstring(f"Do it.\n\n{title}:\n    x: Text.\n").parameters == {"x": "Text."}
    assert parse_docstring(f"Do it.\n\n{title}\n{'-' * len(title)}\nx\n    Text.\n").parameters == {"x": "Text."}


TEXTS = [
    ("", ""),
    ("Do it.", "Do it."),
    ("Do it.\n\nExample: do(1)", "Do it.\n\nExample: do(1)"),
    ("Do it.\n\nArgs:\n    none at all here\n", "Do it.\n\nArgs:\n    none at all here"),  # no entry: it stays
    ("Do it.\n\nArgs: see above", "Do it.\n\nArgs: see above"),
    ("Args\n\nAre great.", "Args\n\nAre great."),
    (":param: nothing", ":param: nothing"),
    ("Args:", "Args:"),
    ("Do it.\n:type x: int", "Do it."),
]


@pytest.mark.parametrize(("docstring", "text"), TEXTS)
def test_text_without_parameters_is_kept(docstring: str, text: str) -> None:
    assert parse_docstring(docstring) == (text, {})


def test_line_that_is_no_entry_continues_the_entry() -> None:
    docstring = "Do it.\n\nArgs:\n    x: One\n    and more.\n    y: Two."
    assert parse_docstring(docstring).parameters == {"x": "One\nand more.", "y": "Two."}


def test_entry_without_text_is_empty() -> None:
    assert parse_docstring("Do it.\n\nArgs:\n    x:\n    **more: Rest.").parameters == {"x": "", "more": "Rest."}


def test_styles_may_be_mixed() -> None:
    docstring = "Do it.\n\n:param x: One.\n\nArgs:\n    y: Two.\n\nParameters\n----------\nz\n    Three.\n"
    assert parse_docstring(docstring) == ("Do it.", {"x": "One.", "y": "Two.", "z": "Three."})
