"""Licences by the hub's identifiers, and the text of those at hand.

Authors
 * The d2v_sb developers 2026
"""

import re
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path

from d2v_sb.errors import UserError

OTHER = "other"
APACHE = "apache-2.0"
# What the hub's page of licences lists (huggingface.co/docs/hub/
# repositories-licenses).
LICENCES = frozenset(
    """
    apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m
    bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0
    bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0
    cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0
    cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
    cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0
    cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0
    etalab-2.0 eupl-1.1 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0
    isc lppl-1.3c ms-pl mpl-2.0 odc-by odbl openrail++ osl-3.0 postgresql ofl-1.1
    ncsa unlicense zlib pddl lgpl-lr unknown other
    """.split()
)
# Which ask that what is made of a work be shared on the same terms.
SHARE_ALIKE = ("cc-by-sa-", "cc-by-nc-sa-")
CREATIVE_COMMONS = re.compile(r"cc-(by(?:-nc)?(?:-nd|-sa)?)-(\d\.\d)")
DEEDS = "https://creativecommons.org"


def check_licence(licence, origin, text):
    """Settles the licence of a model.

    Arguments
    ---------
    licence : str or None
        The hub's identifier, if one was given.
    origin : Origin
        What the weights go back to.
    text : pathlib.Path or None
        The licence's text, if one was given.

    Returns
    -------
    str
        The identifier.

    Raises
    ------
    UserError
        If it is not known, none of the hub's, or ``other`` without a text.

    Example
    -------
    >>> from d2v_sb.publishing.origin import Origin
    >>> check_licence(None, Origin("d2v_sb/small"), None)
    'cc-by-sa-3.0'
    """
    licence = licence or origin.licence
    if licence is None:
        raise UserError(
            "the licence of this model can not be known from what its weights "
            f"go back to ({origin}): give --license, such as apache-2.0 "
            "or cc-by-4.0. It must be one that the encoder and the speech it "
            "was trained on allow"
        )
    if licence not in LICENCES:
        close = get_close_matches(licence, sorted(LICENCES))
        meant = f" Did you mean {' or '.join(close)}?" if close else ""
        raise UserError(
            f"--license {licence} is no identifier of the hub's.{meant} For a "
            f"licence that it has none for, give --license {OTHER} and "
            "--license_file with its text"
        )
    if licence == OTHER and text is None:
        raise UserError(f"--license {OTHER} needs --license_file with its text")
    return licence


def licence_note(licence, origin):
    """What is to be thought of where the licences of two models differ.

    Returns
    -------
    str or None

    Example
    -------
    >>> from d2v_sb.publishing.origin import Origin
    >>> licence_note("cc-by-sa-3.0", Origin("d2v_sb/small"))
    >>> print(licence_note("mit", Origin("d2v_sb/small")))
    the weights go back to d2v_sb/small, which is under cc-by-sa-3.0 and asks ...
    """
    before = origin.licence
    if before is None and not origin.random:
        return (
            f"the weights go back to {origin.name or 'what is not known'}, "
            "whose licence is not known here: make sure that it allows "
            f"{licence}"
        )
    if before in (None, licence) or not before.startswith(SHARE_ALIKE):
        return None
    return (
        f"the weights go back to {origin}, which is under {before} and asks "
        f"that what is made of it be shared on the same terms; you gave "
        f"{licence}"
    )


def licence_link(licence):
    """An identifier, as a link to the licence's deed where it has one.

    Example
    -------
    >>> licence_link("cc-by-sa-3.0")
    '[cc-by-sa-3.0](https://creativecommons.org/licenses/by-sa/3.0/)'
    >>> licence_link("mit")
    '`mit`'
    """
    if licence == "cc0-1.0":
        return f"[{licence}]({DEEDS}/publicdomain/zero/1.0/)"
    if found := CREATIVE_COMMONS.fullmatch(licence):
        return f"[{licence}]({DEEDS}/licenses/{found[1]}/{found[2]}/)"
    return f"`{licence}`"


def licence_text(licence):
    """The text of a licence, where this package has it.

    Returns
    -------
    str or None
        Apache's; of others None.

    Example
    -------
    >>> licence_text("mit")
    >>> licence_text("apache-2.0").split()[:2]
    ['Apache', 'License']
    """
    return own_licence() if licence == APACHE else None


def own_licence():
    """The text of the licence that this package is under, or None.

    Other packages may have put a file of the same name where an installed
    package lies, so that the name is not enough.
    """
    try:
        files = metadata.files("d2v_sb") or []
    except metadata.PackageNotFoundError:
        files = []
    paths = [Path(str(f.locate())) for f in files if f.name == "LICENSE"]
    root = Path(__file__).parents[2]
    if (root / "hparams/d2v_ctc.yaml").is_file():  # a clone
        paths.append(root / "LICENSE")
    for path in filter(Path.is_file, paths):
        text = path.read_text(encoding="utf-8")
        if text.lstrip().startswith("Apache License"):
            return text
    return None
