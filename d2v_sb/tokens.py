"""Labels of speech recognition: letters, or subwords by SentencePiece.

Both have ``encode``, ``decode``, ``labels``, ``unknown`` and ``__len__``, are
saved with checkpoints, and are what SpeechBrain's interfaces expect.

Authors
 * The d2v_sb developers 2026
"""

import csv
import shutil
from pathlib import Path

import sentencepiece as spm
from speechbrain.dataio.encoder import CTCTextEncoder
from speechbrain.tokenizers.SentencePiece import SentencePiece
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import run_on_main

from d2v_sb.atomic import replacing
from d2v_sb.errors import CheckpointError, DataError, UserError

UNKNOWN = 0  # SentencePiece's; CTC's blank has the same label
LETTERS = "letters"
SUBWORDS = ("unigram", "bpe", "char")
# What SpeechBrain's wrapper gives SentencePiece, options aside.
AS_SPEECHBRAIN = {
    "pad_id": -1,
    "unk_id": UNKNOWN,
    "max_sentencepiece_length": 10,
    "character_coverage": 1.0,
}
WAY_OUT = "Begin in another --output_folder"


def make_tokenizer(token_type, alphabet, vocab_size, train_csv, folder):
    """The labels that an hparams file names.

    Arguments
    ---------
    token_type : str
        "letters", or SentencePiece's "unigram", "bpe" or "char".
    alphabet : str or None
        The letters, space among them; None for those of the training data.
    vocab_size : int
        How many subwords.
    train_csv : str
        Of the training data; subwords are learned from its "wrd".
    folder : str
        Where their model is kept.

    Returns
    -------
    Letters or Subwords

    Raises
    ------
    UserError
        If there is no such type.

    Example
    -------
    >>> len(make_tokenizer("letters", " AB", 1000, "train.csv", "save"))
    4
    """
    if token_type == LETTERS:
        return Letters(alphabet or letters_of(train_csv))
    if token_type not in SUBWORDS:
        raise UserError(
            f"--token_type {token_type}: it is one of {LETTERS}, "
            f"{', '.join(SUBWORDS)}"
        )
    return Subwords(train_csv, folder, vocab_size, token_type)


def letters_of(train_csv):
    """The letters of transcripts, sorted, each once.

    Example
    -------
    >>> path = getfixture("tmp_path") / "train.csv"
    >>> _ = path.write_text("ID,wrd\\na,TŶ A\\n", encoding="utf-8")
    >>> letters_of(path)
    ' ATŶ'
    """
    with open(train_csv, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if "wrd" not in (reader.fieldnames or ()):
            raise DataError(f"{train_csv} has no column wrd, of what is said")
        found = {letter for row in reader for letter in row["wrd"]}
    return "".join(sorted(found | {" "}))


class Letters(CTCTextEncoder):
    """Single letters; the blank is label 0.

    Arguments
    ---------
    alphabet : str
        The letters, space among them.

    Example
    -------
    >>> letters = Letters(" AB")
    >>> letters.encode("A B"), letters.decode([2, 1, 3])
    ([2, 1, 3], 'A B')
    """

    # What an inference folder holds it as: SpeechBrain's interfaces ask for it.
    loaded_as = "speechbrain.dataio.encoder.CTCTextEncoder"

    def __init__(self, alphabet):
        super().__init__()
        self.insert_blank(index=0)
        for letter in alphabet:
            self.add_label(letter)
        self.expect_len(len(alphabet) + 1)

    @property
    def labels(self):
        """Texts of the labels, in their order."""
        return [self.ind2lab[i] for i in range(len(self))]

    def encode(self, text):
        """A text to a list of labels."""
        return self.encode_sequence(list(text))

    def decode(self, labels):
        """Labels, blanks left out, to a text."""
        return "".join(self.decode_ndim(labels))

    def unknown(self, text):
        """The letters of a text that have no label."""
        return sorted(set(text) - self.lab2ind.keys())


@register_checkpoint_hooks
class Subwords(SentencePiece):
    """Subwords that SpeechBrain's wrapper of SentencePiece learns.

    Label 0 is SentencePiece's unknown, which no transcript may contain: it is
    the blank.

    Arguments
    ---------
    train_csv : str
        A CSV with the texts to learn from, as "wrd".
    folder : str
        Where the model is kept, as ``<vocab_size>_<model_type>.model``; one
        that is there is used.
    vocab_size : int
        How many subwords, special ones among them.
    model_type : str
        "unigram", "bpe" or "char".
    bos_index, eos_index : int
        Labels of begin and end, for decoders with attention; -1 for none.

    Raises
    ------
    UserError
        If there is no such type.
    DataError
        If the texts do not make so many subwords.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> rows = ["wrd", *["ONE TWO THREE"] * 9, *["TOO TREE NOT"] * 9]
    >>> _ = (folder / "train.csv").write_text("\\n".join(rows))
    >>> subwords = Subwords(folder / "train.csv", folder, 12, "bpe")
    >>> subwords.decode(subwords.encode("TREE TWO")), len(subwords)
    ('TREE TWO', 12)
    """

    loaded_as = "sentencepiece.SentencePieceProcessor"

    def __init__(
        self,
        train_csv,
        folder,
        vocab_size,
        model_type="unigram",
        bos_index=-1,
        eos_index=-1,
    ):
        if model_type not in SUBWORDS:
            raise UserError(
                f"--token_type {model_type}: here it is one of "
                f"{', '.join(SUBWORDS)}"
            )
        options = {
            "vocab_size": int(vocab_size),
            "annotation_train": str(train_csv),
            "annotation_read": "wrd",
            "model_type": model_type,
            "bos_id": bos_index,
            "eos_id": eos_index,
        }
        # On all processes or none: SpeechBrain waits for the others only in
        # those that find no model, and it would learn from an old text.
        run_on_main(_learn_if_absent, args=[Path(folder), options])
        super().__init__(str(folder), **options)

    def __len__(self):
        return self.sp.vocab_size()

    @property
    def path(self):
        """The file of the model."""
        return Path(self.prefix_model_file + ".model")

    @property
    def labels(self):
        """Texts of the labels, in their order; "▁" begins a word."""
        return [self.sp.id_to_piece(i) for i in range(len(self))]

    def encode(self, text):
        """A text to a list of labels."""
        return self.sp.encode_as_ids(text)

    def decode(self, labels):
        """Labels, blanks left out, to a text."""
        return self.sp.decode_ids(list(labels))

    def unknown(self, text):
        """The letters of a text that no subword has."""
        if UNKNOWN not in self.encode(text):
            return []
        return sorted({c for c in text if UNKNOWN in self.encode(c)})

    @mark_as_saver
    def save(self, path):
        """Writes the model to a file."""
        shutil.copyfile(self.path, path)

    @mark_as_loader
    def _load(self, path, end_of_epoch):
        del end_of_epoch
        try:
            saved = spm.SentencePieceProcessor(str(path))
        except (RuntimeError, OSError) as error:
            raise CheckpointError(
                f"{path} is no SentencePiece model: the checkpoint is of a run "
                f"with letters, or damaged. {WAY_OUT}"
            ) from error
        pieces = [saved.id_to_piece(i) for i in range(len(saved))]
        if pieces != self.labels:
            raise CheckpointError(
                f"{path} has {len(pieces)} subwords that are not the "
                f"{len(self)} of {self.path}: the checkpoint is of a run with "
                f"another --vocab_size, --token_type or text. {WAY_OUT}"
            )


def _learn_if_absent(folder, options):
    """As SpeechBrain does, but from and to memory: a model remembers the
    paths of its text and its own, and is given to others."""
    path = folder / f"{options['vocab_size']}_{options['model_type']}.model"
    if path.is_file():
        return
    left_out = {"annotation_train", "annotation_read"}
    if options["model_type"] == "char":
        left_out.add("vocab_size")
    with replacing(path) as beside, open(beside, "wb") as stream:
        try:
            spm.SentencePieceTrainer.train(
                sentence_iterator=_texts(options),
                model_writer=stream,
                **{k: v for k, v in options.items() if k not in left_out},
                **AS_SPEECHBRAIN,
            )
        except RuntimeError as error:
            # "Vocabulary size is too high (9). Please set it to a value <= 7."
            reason = str(error).split("]")[-1].strip()
            raise DataError(
                f"{options['annotation_train']}: no {options['model_type']} "
                f"model of --vocab_size {options['vocab_size']} can be learned "
                f"from its texts. {reason}"
            ) from error


def _texts(options):
    path, column = options["annotation_train"], options["annotation_read"]
    with open(path, newline="", encoding="utf-8") as stream:
        yield from (row[column] for row in csv.DictReader(stream))
