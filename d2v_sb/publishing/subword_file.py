"""SentencePiece's file without the places that it was learned at.

Such a file has the paths of the text that it was learned from and of itself.
It is a message of Protocol Buffers, whose package is not needed elsewhere
here: fields are copied as they are, or left out.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.errors import CheckpointError

TRAINER_SPEC = 2  # a field of sentencepiece's ModelProto
PLACES = (1, 2)  # fields of it: input, model_prefix
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # kinds of fields


def without_places(content):
    """Leaves the two fields out, and everything else as it is.

    Arguments
    ---------
    content : bytes
        Of a SentencePiece model.

    Returns
    -------
    bytes

    Raises
    ------
    CheckpointError
        If it is none.

    Example
    -------
    >>> spec = bytes([1 << 3 | 2, 2]) + b"/a" + bytes([3 << 3, 1])
    >>> without_places(bytes([2 << 3 | 2, len(spec)]) + spec)
    b'\\x12\\x02\\x18\\x01'
    """
    kept = bytearray()
    for number, whole, inner in _fields(content):
        if number == TRAINER_SPEC and inner is not None:
            spec = b"".join(w for n, w, _ in _fields(inner) if n not in PLACES)
            whole = bytes([TRAINER_SPEC << 3 | BYTES]) + _varint(len(spec))
            whole += spec
        kept += whole
    return bytes(kept)


def _fields(content):
    """Number, bytes, and of a message or text those inside."""
    place = 0
    try:
        while place < len(content):
            start = place
            key, place = _read_varint(content, place)
            number, kind, inner = key >> 3, key & 7, None
            if kind == VARINT:
                _, place = _read_varint(content, place)
            elif kind == BYTES:
                size, place = _read_varint(content, place)
                inner = content[place : place + size]
                place += size
            else:
                place += {FIXED64: 8, FIXED32: 4}[kind]
            if place > len(content):
                raise IndexError
            yield number, content[start:place], inner
    except (IndexError, KeyError) as error:
        raise CheckpointError(
            "tokenizer.ckpt is no SentencePiece model: give the run's command "
            "again, which writes it anew"
        ) from error


def _read_varint(content, place):
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _varint(value):
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])
