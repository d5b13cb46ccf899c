"""The encoder of a SpeechBrain recipe's YAML replaced by ours.

Lines are changed in place, so that comments, order and everything else stay
what they were: the class, the name of the weights, and the width where another
one was read from the encoder.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
import difflib
import inspect
import json
import re
from pathlib import Path

from d2v_sb.checkpoints import load_checkpoint
from d2v_sb.errors import UserError
from d2v_sb.lobes import Data2VecAudio, WeightedData2Vec
from d2v_sb.presets import HUB_NAMES, PRESETS, EncoderConfig

# SpeechBrain's lobes, whatever the version's module, and what is put for them.
LOBES = {
    "Wav2Vec2": "d2v_sb.lobes.Data2VecAudio",
    "HuBERT": "d2v_sb.lobes.Data2VecAudio",
    "WavLM": "d2v_sb.lobes.Data2VecAudio",
    "WeightedSSLModel": "d2v_sb.lobes.WeightedData2Vec",
}
CLASSES = {
    "d2v_sb.lobes.Data2VecAudio": Data2VecAudio,
    "d2v_sb.lobes.WeightedData2Vec": WeightedData2Vec,
}
LOBE = re.compile(r"^(\w+):\s*!new:(speechbrain\.[\w.]+\.(\w+))\s*(?:#.*)?$")
ARGUMENT = re.compile(r"^\s+(\w+):\s*(.*?)\s*(?:#.*)?$")
REFERENCE = re.compile(r"^!ref <(\w+)>$")
# Where recipes keep the width, best known first: a key of its own, the shape
# of what follows, a number at what follows.
WIDTHS = (
    re.compile(
        r"^((?:encoder_dim|feats_dim|features_dim|wav2vec2?_encoder_dim"
        r"|wav2vec2?_output(?:_dim)?):\s*)"
        r"(\d+|!ref <dnn_neurons>)(.*)$"
    ),
    re.compile(r"^(\s+input_shape:\s*\[null, null, )(\d+)(\].*)$"),
    re.compile(r"^(\s+input_size:\s*)(\d+)(.*)$"),
)
# A recipe of CommonVoice gives the encoder the width of the layers behind it.
PLAIN = re.compile(r"[\w./-]+")  # what YAML takes without quotation marks
KNOWN_WIDTHS = {"768", "1024", "1280", "!ref <dnn_neurons>"}


@dataclasses.dataclass
class Swap:
    """A YAML with our encoder.

    Arguments
    ---------
    before, after : list of str
        Lines, endings left on.
    notes : list of str
        What has to be looked at by hand.
    """

    before: list
    after: list
    notes: list = dataclasses.field(default_factory=list)

    def diff(self, before="before", after="after"):
        """The difference, as a patch."""
        return "".join(
            difflib.unified_diff(
                self.before, self.after, str(before), str(after)
            )
        )


def swap_encoder(path, encoder, width):
    """Puts our encoder in the place of SpeechBrain's.

    Arguments
    ---------
    path : str or pathlib.Path
        A recipe's YAML; it is read only.
    encoder : str
        As ``Data2VecAudio``'s source.
    width : int
        Of that encoder.

    Returns
    -------
    Swap

    Raises
    ------
    UserError
        If the file can not be read, has no such encoder, or gives it an
        argument that ours has not.

    Example
    -------
    >>> path = getfixture("tmp_path") / "train.yaml"
    >>> _ = path.write_text('''hub: facebook/wav2vec2-base
    ... encoder_dim: 768
    ... wav2vec2: !new:speechbrain.integrations.huggingface.wav2vec2.Wav2Vec2
    ...     source: !ref <hub>
    ... ''')
    >>> swap = swap_encoder(path, "facebook/data2vec-audio-large", 1024)
    >>> print("".join(swap.after))
    hub: facebook/data2vec-audio-large
    encoder_dim: 1024
    wav2vec2: !new:d2v_sb.lobes.Data2VecAudio
        source: !ref <hub>
    <BLANKLINE>
    """
    try:
        before = Path(path).read_text(encoding="utf-8").splitlines(True)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} can not be read: {error}") from error
    after, notes, sources = list(before), [], []
    lobes = [
        (i, LOBE.match(line.rstrip("\n"))) for i, line in enumerate(before)
    ]
    lobes = [(i, m) for i, m in lobes if m and m[3] in LOBES]
    if not lobes:
        raise UserError(
            f"{path} has none of SpeechBrain's lobes {', '.join(LOBES)} at its "
            "top level: there is nothing to swap"
        )
    for i, match in lobes:
        ours = LOBES[match[3]]
        after[i] = before[i].replace(match[2], ours)
        sources.append(_source(path, before, i, ours))
    for place, value in sources:
        key, colon, rest = after[place].partition(":")
        new = encoder if PLAIN.fullmatch(encoder) else json.dumps(encoder)
        after[place] = key + colon + rest.replace(value, new, 1)
    notes += _set_width(after, width)
    return Swap(before, after, notes)


def encoder_width(encoder):
    """The width of an encoder, without fetching published weights.

    Arguments
    ---------
    encoder : str
        As ``Data2VecAudio``'s source.

    Returns
    -------
    int

    Example
    -------
    >>> (
    ...     encoder_width("facebook/data2vec-audio-large-960h"),
    ...     encoder_width("tiny"),
    ... )
    (1024, 128)
    """
    if encoder in HUB_NAMES:
        size = "large" if "-large" in encoder else "base"
        return PRESETS[size].encoder_embed_dim
    return load_checkpoint(encoder).config.encoder_embed_dim


def _source(path, lines, lobe, ours):
    """Line and value of the weights' name; all arguments must be ours too."""
    parameters = inspect.signature(CLASSES[ours]).parameters
    known = {*parameters, *(f.name for f in dataclasses.fields(EncoderConfig))}
    source = None
    for i in range(lobe + 1, len(lines)):
        line = lines[i].rstrip("\n")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        argument = ARGUMENT.match(line)
        if argument is None:
            break
        name, value = argument.groups()
        if name not in known:
            raise UserError(
                f"{path}, line {i + 1}: {ours} has no argument {name!r}; it has "
                f"{', '.join(parameters)}. Remove the line, or swap by hand"
            )
        if name in ("source", "hub"):
            source = i, value
    if source is None:
        raise UserError(
            f"{path}, line {lobe + 1}: the encoder has no `source` or `hub`"
        )
    reference = REFERENCE.match(source[1])
    if reference is None:
        return source
    key = reference[1]
    for i, line in enumerate(lines):
        found = re.match(rf"^{key}:\s*(\S.*?)\s*(?:#.*)?$", line.rstrip("\n"))
        if found:
            return i, found[1]
    raise UserError(f"{path}: {key}, the name of the weights, is nowhere set")


def _set_width(lines, width):
    """Changes the width where the best known pattern finds it alone."""
    for pattern in WIDTHS:
        found = [
            (i, pattern.match(line.rstrip("\n")))
            for i, line in enumerate(lines)
        ]
        found = [(i, m) for i, m in found if m and m[2] in KNOWN_WIDTHS]
        if len(found) > 1:
            numbers = ", ".join(str(i + 1) for i, _ in found)
            return [
                f"lines {numbers} have widths, and which of them are of the "
                f"encoder is not clear: change those to {width} by hand"
            ]
        for i, match in found:
            ending = "\n" if lines[i].endswith("\n") else ""
            lines[i] = f"{match[1]}{width}{match[3]}{ending}"
        if found:
            return []
    return [f"no width was found: what reads the encoder must expect {width}"]
