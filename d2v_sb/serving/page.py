"""The page: a tab for each model.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import functools
from dataclasses import dataclass

from d2v_sb.bulk.hearing import make_listener
from d2v_sb.errors import UserError
from d2v_sb.serving import answers, drawing
from d2v_sb.serving.recordings import read_recording
from d2v_sb.serving.style import CSS, FONTS, MONO_FONTS

TITLE = "data2vec for SpeechBrain"
ABOUT_WORDS = (
    "What is said, and when each word is. The fainter the mark of a word, the "
    "less sure the model is of it."
)
ABOUT_EMOTION = (
    "How it is said: the chances of each emotion in windows of 4 s, and their "
    "mean over the recording."
)
ABOUT_SPEAKERS = (
    "Whether two recordings are of one speaker: the cosine of their "
    "embeddings, of at most 30 s each."
)
DEFAULT_THRESHOLD = 0.25  # SpeechBrain's
KEPT_SECONDS = 600  # how long uploads stay on the disk
CHECKED_SECONDS = 60  # how often that is looked at
QUEUE = 20  # requests that may wait


@dataclass
class Models:
    """What the page shows; None for what it does not."""

    asr: object = None
    emotion: object = None
    speakers: object = None


def import_gradio():
    """The module ``gradio``.

    Returns
    -------
    module

    Raises
    ------
    UserError
        If it is not installed.
    """
    try:
        import gradio
    except ImportError as error:
        raise UserError(
            f'd2v-sb serve needs gradio ({error}): pip install "d2v_sb[serve]"'
        ) from error
    return gradio


def build_page(models, max_seconds=300.0, threshold=DEFAULT_THRESHOLD):
    """The page of some models, not yet served.

    Arguments
    ---------
    models : Models
        At least one.
    max_seconds : float
        The longest recording that is accepted.
    threshold : float
        Above this cosine, two speakers are one at first.

    Returns
    -------
    gradio.Blocks

    Raises
    ------
    UserError
        If gradio is not installed.
    """
    gr = import_gradio()
    with gr.Blocks(
        title=TITLE,
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(CHECKED_SECONDS, KEPT_SECONDS),
    ) as page:
        limit = f"Recordings of up to {max_seconds:g} s"
        gr.HTML(
            f"<h1>{TITLE}</h1><p>{limit}. They are heard on the machine that "
            "serves this page, one at a time, and deleted soon after.</p>",
            elem_classes="d2v-title",
        )
        read = functools.partial(read_recording, max_seconds=max_seconds)
        with gr.Tabs():
            if models.asr is not None:
                with _tab(gr, "Transcription", ABOUT_WORDS):
                    _transcription(gr, make_listener(models.asr), read)
            if models.emotion is not None:
                with _tab(gr, "Emotion", ABOUT_EMOTION):
                    _emotion(gr, models.emotion, read)
            if models.speakers is not None:
                with _tab(gr, "Speakers", ABOUT_SPEAKERS):
                    _speakers(gr, models.speakers, read, threshold)
    page.queue(max_size=QUEUE)
    return page


def look():
    """What ``gradio.mount_gradio_app`` makes the page look by: dict."""
    gr = import_gradio()
    theme = gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=FONTS,
        font_mono=MONO_FONTS,
    )
    return {"theme": theme, "css": CSS, "footer_links": []}


@contextlib.contextmanager
def _tab(gr, name, about):
    with gr.Tab(name):
        gr.HTML(f"<p>{about}</p>", elem_classes="d2v-about")
        yield


def _transcription(gr, listener, read):
    audio = _audio(gr, "Speech")
    text = gr.Textbox(label="Text", lines=1, buttons=["copy"])
    picture = gr.HTML()

    def transcribe(path):
        wav = read(path)
        record = answers.hear(listener, wav)
        html = drawing.words_drawing(wav, record) + drawing.saving_links(record)
        return html, record["text"]

    _answer(audio, transcribe, [audio], [picture, text])


def _emotion(gr, classifier, read):
    audio = _audio(gr, "Speech")
    picture = gr.HTML()

    def feel(path):
        wav = read(path)
        course = answers.course(classifier, wav)
        return drawing.course_drawing(wav, course)

    _answer(audio, feel, [audio], [picture])


def _speakers(gr, speakers, read, threshold):
    with gr.Row():
        one, other = _audio(gr, "One speaker"), _audio(gr, "Another?")
    picture = gr.HTML()
    bound = gr.Slider(-1, 1, threshold, step=0.01, label="Threshold")
    score = gr.State(None)

    def compare(path, other_path, bound):
        found = answers.likeness(speakers, read(path), read(other_path))
        return drawing.score_drawing(found, bound), found

    def judge(found, bound):
        if found is None:
            return gr.skip()
        return drawing.score_drawing(found, bound)

    for audio in (one, other):
        _answer(audio, compare, [one, other, bound], [picture, score])
    bound.change(
        judge, [score, bound], picture, queue=False, api_visibility="private"
    )


def _audio(gr, label):
    return gr.Audio(
        label=label,
        sources=["upload", "microphone"],
        type="filepath",
        buttons=[],
    )


def _answer(audio, function, inputs, outputs):
    """Has a recording answered; what is wrong with it takes the place of the
    first output, so that nothing of another recording stays."""

    blank = [None] * (len(outputs) - 1)

    def answer(*values):
        if None in values:  # a recording was removed, or is still to come
            return ["", *blank] if blank else ""
        try:
            return function(*values)
        except UserError as error:
            html = drawing.message(str(error))
            return [html, *blank] if blank else html

    audio.change(
        answer,
        inputs,
        outputs,
        concurrency_id="models",
        concurrency_limit=1,
        api_visibility="private",
    )
