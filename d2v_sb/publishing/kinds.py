"""The kinds of models that are published, and how each is used.

Authors
 * The d2v_sb developers 2026
"""

from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Kind:
    """What a card says of all models of a kind.

    Arguments
    ---------
    name : str
        What it does.
    task : str
        The hub's identifier of the task.
    pipeline : str or None
        The hub's pipeline tag, where it has one.
    tags : tuple of str
        For the hub's search.
    interface : str or None
        The class of SpeechBrain's that loads the folder.
    usage : str
        Python that runs; ``{source}`` is the folder or its name on the hub.
    limits : tuple of str
        What is true of all of them.
    """

    name: str
    task: str
    pipeline: str | None
    tags: tuple
    interface: str | None
    usage: str
    limits: tuple

    def load(self, folder):
        """The folder in its interface of SpeechBrain's."""
        module, name = self.interface.rsplit(".", 1)
        loader = getattr(import_module(module), name)
        return loader.from_hparams(source=str(folder))


ASR = "automatic-speech-recognition"
CLASSES = "audio-classification"
SPEAKERS = "speaker-verification"
FEATURES = "feature-extraction"

CTC = Kind(
    name="Speech recognition with CTC",
    task=ASR,
    pipeline=ASR,
    tags=("CTC",),
    interface="speechbrain.inference.ASR.EncoderASR",
    usage="""\
from speechbrain.inference.ASR import EncoderASR

asr = EncoderASR.from_hparams(source="{source}")
print(asr.transcribe_file("speech.wav"))
""",
    limits=(
        "It writes only what its labels spell: no punctuation or figures "
        "that are not among them.",
        "It is best on clips about as long as those it was trained on. "
        "`d2v_sb.chunked.stream_words` hears longer files piece by piece.",
    ),
)
ATTENTION = Kind(
    name="Speech recognition with CTC and attention",
    task=ASR,
    pipeline=ASR,
    tags=("CTC", "Attention"),
    interface="speechbrain.inference.ASR.EncoderDecoderASR",
    usage="""\
from speechbrain.inference.ASR import EncoderDecoderASR

asr = EncoderDecoderASR.from_hparams(source="{source}")
print(asr.transcribe_file("speech.wav"))
""",
    limits=(
        "It writes only what its subwords spell.",
        "A decoder with attention may repeat or leave out words in clips that "
        "are much longer than those it was trained on.",
    ),
)
CLASSIFICATION = Kind(
    name="Classes of utterances",
    task=CLASSES,
    pipeline=CLASSES,
    tags=("embeddings",),
    interface="speechbrain.inference.classifiers.EncoderClassifier",
    usage="""\
from speechbrain.inference.classifiers import EncoderClassifier

classifier = EncoderClassifier.from_hparams(source="{source}")
log_probs, score, index, label = classifier.classify_file("speech.wav")
print(label)
""",
    limits=(
        "It gives each utterance one of its classes, whatever is said in it, "
        "and however it is said.",
    ),
)
VERIFICATION = Kind(
    name="Speaker verification",
    task=SPEAKERS,
    pipeline=None,
    tags=("embeddings", "speaker-verification"),
    interface="speechbrain.inference.speaker.SpeakerRecognition",
    usage="""\
from speechbrain.inference.speaker import SpeakerRecognition

speakers = SpeakerRecognition.from_hparams(source="{source}")
score, same = speakers.verify_files("one.wav", "another.wav")
print(float(score))
""",
    limits=(
        "Scores are cosines. `same` compares them with SpeechBrain's usual "
        "threshold, which was not chosen for this model: choose one on trials "
        "of your own.",
    ),
)
ENCODER = Kind(
    name="Speech representations by data2vec",
    task=FEATURES,
    pipeline=FEATURES,
    tags=("self-supervised",),
    interface=None,
    usage="""\
from d2v_sb.lobes import Data2VecAudio

encoder = Data2VecAudio("{source}")
print(encoder.output_size)
""",
    limits=("It has no head: it is a start for training, not a recogniser.",),
)

TRANSFORMERS_CTC = """\
from transformers import AutoModelForCTC, AutoProcessor

model = AutoModelForCTC.from_pretrained("{source}", subfolder="transformers")
processor = AutoProcessor.from_pretrained("{source}", subfolder="transformers")
"""
TRANSFORMERS_ENCODER = """\
from transformers import AutoModel

model = AutoModel.from_pretrained("{source}")
"""
