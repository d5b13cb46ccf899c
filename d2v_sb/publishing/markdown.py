"""Tables and blocks of code in Markdown.

Authors
 * The d2v_sb developers 2026
"""

import re

# What a value of somebody's could begin in the middle of a table.
ACTIVE = re.compile(r"[\\`<\[\]*]")


def table(rows):
    """Two columns of Markdown.

    Example
    -------
    >>> print(table({"seed": 1}))
    | | |
    |---|---|
    | seed | 1 |
    """
    return "\n".join(["| | |", "|---|---|", *map(row, rows.items())])


def row(cells):
    """A line of a Markdown table.

    Example
    -------
    >>> row(["a|b", "c\\nd"])
    '| a\\\\|b | c d |'
    """
    lines = (" ".join(str(cell).split()) for cell in cells)
    return (
        f"| {' | '.join(line.replace('|', chr(92) + '|') for line in lines)} |"
    )


def code(text, language="python"):
    """A fenced block; what is in it can not end it.

    Example
    -------
    >>> print(code("x = 1"))
    ```python
    x = 1
    ```
    """
    fence = "`" * max(3, _longest(text) + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def inline(text):
    """A short text as code.

    Example
    -------
    >>> inline("a"), inline("`")
    ('`a`', '`` ` ``')
    """
    fence = "`" * (_longest(text) + 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def plain(value):
    """A value of a file as text that means nothing in Markdown.

    Example
    -------
    >>> plain(True), plain(["."]), plain("a`b")
    ('yes', 'all of it', 'a\\\\`b')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join("all of it" if v == "." else plain(v) for v in value)
    return ACTIVE.sub(r"\\\g<0>", str(value))


def open_fence(text):
    """Whether a block of code is begun in a text, and not ended.

    Example
    -------
    >>> open_fence("a\\n```\\nb"), open_fence("```\\nb\\n```\\n")
    (True, False)
    """
    fence = None
    for line in text.splitlines():
        found = re.match(r" {0,3}(`{3,}|~{3,})(.*)", line)
        if found is None:
            continue
        if fence is None:
            fence = found[1]
        elif found[1].startswith(fence) and not found[2].strip():
            fence = None
    return fence is not None


def _longest(text):
    """Of the runs of backticks in it."""
    return max(map(len, re.findall("`+", text)), default=0)
