"""What a page that is sent to others leaves out: where things lay on the
machine, and secrets.

Authors
 * The d2v_sb developers 2026
"""

import os
import re
from pathlib import Path

HIDDEN = "(not shown)"
NO_SECRETS = ("token_type", "token_prune_min_logp")
_WORD = (
    r"(?:secret|password|"
    r"(?:token|key|passwd|passphrase|credentials?)(?![a-zA-Z0-9]))"
)
_KEY = rf"(?!(?:{'|'.join(NO_SECRETS)})\b)[\w.-]*{_WORD}[\w.-]*"
SECRET = re.compile(_KEY, re.IGNORECASE)
SHORT = 6  # characters; what is shorter may be part of any word
# A line of a YAML file: indent, key, value.
ENTRY = re.compile(r"(\s*(?:- )*)['\"]?([\w.-]+)['\"]?\s*:(?:\s+(.*))?$")
# An option of a command line, or an entry inside a line of YAML.
INLINE = re.compile(
    rf"(--{_KEY}[= ]+|(?<![\w.-]){_KEY}['\"]? *[:=] *)"
    r"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s,}\]]+)",
    re.IGNORECASE,
)
# Absolute paths of two parts or more: in quotes, as a whole value of YAML,
# and anywhere else, where a space ends them.
QUOTED = re.compile(r"(['\"])(/[^'\"\n]+/[^'\"\n]*)(\1)")
VALUE = re.compile(r"(?m)(:\s+|^\s*- )(/[^#'\"\n]+/[^#'\"\n]*?)(\s+#|\s*$)")
_PART = r"[^\s/'\"`,;:()\[\]{}<>|&]"
LOOSE = re.compile(rf"(?<![\w.~/<+-])()(/(?:{_PART}+/)+{_PART}*)()")
# Around a path that is known; what follows inside it is kept.
BEFORE = r"(?<![\w.~/-])"
AFTER = r"(?:(/)(?=[^\s'\",\]])|/?(?![\w/-]|\.\w))"


class Discretion:
    """Says things of a run without the machine's folders and without secrets.

    A path inside the run's folder or the current one is said from there on,
    another by its last part.

    Arguments
    ---------
    folder : pathlib.Path
        Output folder of the run.
    options : Options
        Of the run: what of them is a path or a secret is known wherever it is
        met.

    Example
    -------
    >>> values = {"output_folder": "/x/run", "data_folder": "/my files/audio"}
    >>> from d2v_sb.reporting.options import Options
    >>> discretion = Discretion(Path("/y/run"), Options(values=values))
    >>> discretion.text("/y/run/a.csv of '/my files/audio/b', see /z/c.txt")
    "a.csv of 'audio/b', see c.txt"
    >>> discretion.text("--hf_token hf_1234 --lr 1")
    '--hf_token (not shown) --lr 1'
    """

    def __init__(self, folder, options):
        strings = [("", options.source), *_strings(options.values)]
        self._secrets = [
            text
            for key, text in strings
            if is_secret(key) and len(text) >= SHORT
        ]
        roots = [folder.absolute(), folder.resolve(), Path.cwd()]
        roots += [Path(text) for key, text in strings if key == "output_folder"]
        self._roots = sorted(
            {str(root) for root in roots if _is_narrow(root)},
            key=len,
            reverse=True,
        )
        paths = {text.rstrip("/") for _, text in strings if text[:1] == "/"}
        known = sorted({*self._roots, *paths} - {""}, key=len, reverse=True)
        alternatives = "|".join(map(re.escape, known)) or "(?!)"
        self._known = re.compile(f"{BEFORE}({alternatives}){AFTER}")

    def text(self, text):
        """A text as others may read it."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = _without_secret_entries(INLINE.sub(rf"\1{HIDDEN}", text))
        text = text.replace("file://", "")
        text = self._known.sub(self._shorten_known, text)
        for pattern in (QUOTED, VALUE, LOOSE):
            text = pattern.sub(lambda m: m[1] + Path(m[2]).name + m[3], text)
        return text

    def value(self, value):
        """The same of what may be a text, or holds some."""
        if isinstance(value, str):
            # A space in a path that is alone does not end it.
            alone = value.startswith("/") and "\n" not in value
            return self._shorten(value) if alone else self.text(value)
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if isinstance(value, dict):
            return {
                key: self.value(one)
                for key, one in value.items()
                if not is_secret(str(key))
            }
        return value

    def options(self, options):
        """The same of the options of a run."""
        return options._replace(
            text=self.text(options.text),
            values=self.value(options.values),
            source=self.text(options.source),
        )

    def _shorten_known(self, match):
        path, more = match[1], match[2] or ""
        if more and path in self._roots:
            return ""
        return self._shorten(path) + more

    def _shorten(self, path):
        for root in self._roots:
            if path.startswith(f"{root}/"):
                return path[len(root) + 1 :]
        return Path(path).name


def is_secret(key):
    """Whether an option may be a secret, by its name.

    Arguments
    ---------
    key : str
        Name of the option.

    Returns
    -------
    bool

    Example
    -------
    >>> [is_secret(key) for key in ("hf_token", "token_type", "tokenizer")]
    [True, False, False]
    """
    return bool(SECRET.fullmatch(key))


def place_of(folder):
    """A folder's name, with that of the one above where that is the project's.

    Arguments
    ---------
    folder : pathlib.Path
        Output folder of a run.

    Returns
    -------
    str

    Example
    -------
    >>> place_of(Path("/home/me/1986")), place_of(Path("results/d2v_ctc/1986"))
    ('1986', 'd2v_ctc/1986')
    """
    folder, here = folder.resolve(), Path.cwd()
    if folder != here and folder.is_relative_to(here) and _is_narrow(here):
        return "/".join(folder.relative_to(here).parts[-2:])
    return folder.name


def _is_narrow(root):
    """What lies above a home says whose that is."""
    home = Path(os.path.expanduser("~"))
    return root.is_absolute() and root not in (Path("/"), *home.parents)


def _strings(value, key=""):
    """All texts in values, with the keys that they are of."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, (list, dict)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, one in items:
            yield from _strings(one, name if isinstance(name, str) else key)


def _without_secret_entries(text):
    """YAML's values go on in the lines that are indented further."""
    lines, deeper_than = [], None
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip(" "))
        if deeper_than is not None and (indent > deeper_than or not line):
            continue
        deeper_than = None
        entry = ENTRY.match(line)
        if entry and is_secret(entry[2]):
            deeper_than = len(entry[1])
            line = f"{entry[1]}{entry[2]}: {HIDDEN}"
        lines.append(line)
    return "\n".join(lines)
