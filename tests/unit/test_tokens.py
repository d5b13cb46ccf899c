"""Letters and subwords: the same use, and what is refused.

Authors
 * The d2v_sb developers 2026
"""

import pytest
import sentencepiece
from speechbrain.utils.checkpoints import Checkpointer

from d2v_sb.errors import CheckpointError, DataError, UserError
from d2v_sb.tokens import Letters, Subwords, make_tokenizer

TEXTS = ["ONE TWO THREE", "TOO TREE NOT", "TWENTY THREE", "WHEN NONE WROTE"] * 9


@pytest.fixture
def train_csv(tmp_path):
    path = tmp_path / "train.csv"
    rows = [f"{i},{text}" for i, text in enumerate(TEXTS)]
    path.write_text("\n".join(["ID,wrd", *rows, ""]))
    return path


def make(kind, train_csv, vocab_size=14, folder="tokens"):
    alphabet = " EHNORTWY"
    folder = train_csv.parent / folder
    return make_tokenizer(kind, alphabet, vocab_size, train_csv, folder)


@pytest.mark.parametrize("kind", ("letters", "unigram", "bpe", "char"))
def test_what_is_encoded_is_decoded(kind, train_csv):
    tokenizer = make(kind, train_csv)
    for text in {*TEXTS, "NOT THREE", ""}:
        labels = tokenizer.encode(text)
        assert tokenizer.decode(labels) == text
        assert 0 not in labels  # the blank
        assert all(0 < label < len(tokenizer) for label in labels)
        spelled = "".join(tokenizer.labels[label] for label in labels)
        assert spelled.replace("▁", " ").strip() == text
    assert len(tokenizer.labels) == len(tokenizer)
    assert tokenizer.unknown("TWO XENON Z") == ["X", "Z"]
    assert tokenizer.unknown("NOT") == []


def test_subwords_are_those_that_sentencepiece_learns(train_csv):
    ours = make("bpe", train_csv)
    prefix = train_csv.parent / "theirs"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_prefix=str(prefix),
        vocab_size=14,
        model_type="bpe",
        character_coverage=1.0,
        bos_id=-1,
        eos_id=-1,
        max_sentencepiece_length=10,
    )
    theirs = sentencepiece.SentencePieceProcessor(f"{prefix}.model")
    assert ours.labels == [theirs.id_to_piece(i) for i in range(14)]
    assert ours.encode("TREE NOT") == theirs.encode("TREE NOT")
    assert len(ours.encode("TREE NOT")) < len("TREE NOT")


def test_begin_and_end_have_their_labels(train_csv):
    subwords = Subwords(
        train_csv, train_csv.parent, 14, "unigram", bos_index=1, eos_index=2
    )
    assert subwords.labels[:3] == ["<unk>", "<s>", "</s>"]
    assert not {0, 1, 2} & set(subwords.encode("ONE TWO THREE"))


def test_too_many_subwords_are_an_error_that_names_the_limit(train_csv):
    with pytest.raises(DataError, match="--vocab_size 999.*value <= [1-9]"):
        make("unigram", train_csv, 999)
    assert not list((train_csv.parent / "tokens").iterdir())
    # Learned from the texts of today, not from those of the attempt before.
    train_csv.write_text("ID,wrd\n" + "0,ZEBRA ZOO ZERO\n" * 20)
    assert make("bpe", train_csv, 11).unknown("ZOO") == []


def test_a_model_that_is_there_is_used(train_csv):
    first = make("bpe", train_csv)
    train_csv.unlink()
    assert make("bpe", train_csv).labels == first.labels


def test_an_unknown_type_names_the_known_ones(train_csv):
    with pytest.raises(UserError, match="words: it is one of letters, unigram"):
        make("words", train_csv)
    with pytest.raises(UserError, match="letters: here it is one of unigram"):
        Subwords(train_csv, train_csv.parent, 14, "letters")


@pytest.mark.parametrize("kind", ("letters", "bpe"))
def test_labels_are_saved_and_recovered(kind, train_csv, tmp_path):
    first = make(kind, train_csv)
    saver = Checkpointer(tmp_path / "save", {"tokenizer": first})
    saver.save_checkpoint()
    second = make(kind, train_csv, folder="other")
    Checkpointer(tmp_path / "save", {"tokenizer": second}).recover_if_possible()
    assert second.labels == first.labels
    assert second.encode("TWO") == first.encode("TWO")


@pytest.mark.parametrize(
    "saved, changed, reason",
    [
        (("bpe", 14), {}, "14 subwords that are not the 12"),
        (("unigram", 12), {}, "12 subwords that are not the 12"),
        (("bpe", 12), {"text": True}, "12 subwords that are not the 12"),
        (("letters", 12), {}, "no SentencePiece model"),
    ],
)
def test_a_checkpoint_with_other_labels_is_refused(
    saved, changed, reason, train_csv, tmp_path
):
    """Also where their number is the same: it would be heard as nonsense."""
    saver = Checkpointer(
        tmp_path / "save", {"tokenizer": make(*saved[:1], train_csv, saved[1])}
    )
    saver.save_checkpoint()
    if changed:
        train_csv.write_text("ID,wrd\n" + "0,HEN WORE THE TORN ROE\n" * 20)
    other = make("bpe", train_csv, 12, "other")
    before = other.path.read_bytes()
    saver = Checkpointer(tmp_path / "save", {"tokenizer": other})
    with pytest.raises(CheckpointError, match=f"{reason}.*--output_folder"):
        saver.recover_if_possible()
    assert other.path.read_bytes() == before and len(other) == 12


def test_letters_are_what_speechbrain_expects():
    letters = Letters(" AB")
    assert letters.labels == ["<blank>", " ", "A", "B"]
    assert letters.encode("AB A") == [2, 3, 1, 2]
