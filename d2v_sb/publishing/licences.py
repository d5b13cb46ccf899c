"""Licences by the hub's identifiers, and the text of those at hand.

Authors
 * The d2v_sb developers 2026
"""

from difflib import get_close_matches
from importlib import metadata
from pathlib import Path

from d2v_sb.checkpoints import shipped_weights
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
# Of the weights that come with this package; d2v_sb/weights/README.md says why.
OF_SHIPPED = {"d2v_sb/small": "cc-by-sa-3.0"}
# Which ask that what is made of a work be shared on the same terms.
SHARE_ALIKE = ("cc-by-sa-", "cc-by-nc-sa-")


def check_licence(licence, encoder, text):
    """Settles the licence of a model.

    Arguments
    ---------
    licence : str or None
        The hub's identifier, if one was given.
    encoder : str or None
        What the model was made from: the `encoder` of its hparams.
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
    >>> check_licence(None, "d2v_sb/small", None)
    'cc-by-sa-3.0'
    """
    licence = licence or OF_SHIPPED.get(str(encoder))
    if licence is None:
        raise UserError(
            f"the licence of this model can not be known from its encoder "
            f"({encoder or 'not known'}): give --license, such as apache-2.0 "
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


def licence_note(licence, encoder):
    """What is to be thought of where encoder and model differ.

    Returns
    -------
    str or None

    Example
    -------
    >>> licence_note("cc-by-sa-3.0", "d2v_sb/small")
    >>> print(licence_note("mit", "d2v_sb/small"))
    the encoder d2v_sb/small is under cc-by-sa-3.0, which asks that what ...
    """
    of_encoder = OF_SHIPPED.get(str(encoder))
    if of_encoder is None or licence == of_encoder:
        return None
    if not of_encoder.startswith(SHARE_ALIKE):
        return None
    return (
        f"the encoder {encoder} is under {of_encoder}, which asks that what is "
        f"made of it be shared on the same terms; you gave {licence}"
    )


def shipped_name(path):
    """The name of weights that come with this package, or None.

    Example
    -------
    >>> shipped_name(shipped_weights()["d2v_sb/small"])
    'd2v_sb/small'
    """
    for name, file in shipped_weights().items():
        if Path(path).resolve() == file.resolve():
            return name
    return None


def licence_text(licence):
    """The text of a licence, where this package has it.

    Returns
    -------
    str or None
        Apache's; of others None.

    Example
    -------
    >>> licence_text("mit")
    """
    if licence != APACHE:
        return None
    beside = Path(__file__).parents[2] / "LICENSE"  # of a clone
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    try:
        files = metadata.files("d2v_sb") or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == "LICENSE":
            return file.read_text(encoding="utf-8")
    return None
