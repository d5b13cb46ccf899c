"""Tables and blocks of code in Markdown.

Authors
 * The d2v_sb developers 2026
"""


def table(rows):
    """Two columns of Markdown.

    Example
    -------
    >>> print(table({"seed": 1}))
    | | |
    |---|---|
    | seed | 1 |
    """
    lines = [row((name, _text(value))) for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def row(cells):
    """A line of a Markdown table.

    Example
    -------
    >>> row(["a|b", "c"])
    '| a\\\\|b | c |'
    """
    return (
        f"| {' | '.join(str(c).replace('|', chr(92) + '|') for c in cells)} |"
    )


def code(text, language="python"):
    """A fenced block.

    Example
    -------
    >>> print(code("x = 1"))
    ```python
    x = 1
    ```
    """
    return f"```{language}\n{text.rstrip()}\n```\n"


def _text(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join("all of it" if v == "." else str(v) for v in value)
    return value
