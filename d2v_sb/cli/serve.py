"""``d2v-sb serve``.

Authors
 * The d2v_sb developers 2026
"""

import click

from d2v_sb.errors import UserError


@click.command()
@click.option(
    "--asr",
    type=click.Path(file_okay=False),
    help="Inference folder of speech recognition, with CTC or attention.",
)
@click.option(
    "--emotion",
    type=click.Path(file_okay=False),
    help="Inference folder of a classifier.",
)
@click.option(
    "--speakers",
    type=click.Path(file_okay=False),
    help="Inference folder of speaker verification.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at. Others than this machine reach the page only "
    "if you name another.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=7860, show_default=True
)
@click.option(
    "--max_seconds",
    type=click.FloatRange(1),
    default=300,
    show_default=True,
    help="The longest recording.",
)
@click.option(
    "--max_mb",
    type=click.FloatRange(0, min_open=True),
    default=50,
    show_default=True,
    help="The largest file.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(-1, 1),
    default=0.25,
    show_default=True,
    help="Score above which two speakers are one, at first.",
)
@click.option("--device", default="cpu", show_default=True)
@click.option("--open", "open_page", is_flag=True, help="Open it in a browser.")
def serve(
    asr,
    emotion,
    speakers,
    host,
    port,
    max_seconds,
    max_mb,
    threshold,
    device,
    open_page,
):
    """Shows models on a page in the browser.

    It takes the microphone and files. Each model gets a tab: words with their times, emotions over time, two
    speakers compared. Nothing leaves this machine. It needs the extra `serve`.

    \b
    Examples:
      d2v-sb serve --asr results/d2v_ctc/1986/inference --open
      d2v-sb serve --asr ASR --emotion EMOTION --speakers SPEAKERS
    """
    if not (asr or emotion or speakers):
        raise UserError(
            "there is nothing to show: give --asr, --emotion or --speakers"
        )
    from d2v_sb.bulk.devices import find_device
    from d2v_sb.bulk.models import load_interface
    from d2v_sb.serving.page import Models, build_page, import_gradio
    from d2v_sb.serving.server import (
        is_loopback,
        make_server,
        run_until_stopped,
        upload_folder,
    )

    import_gradio()  # what is missing is said before models are loaded
    device = find_device(device)

    def load(folder, *expected):
        if folder is None:
            return None
        click.echo(f"loading {folder}", err=True)
        return load_interface(folder, device, expected)

    models = Models(
        load(asr, "EncoderASR", "EncoderDecoderASR"),
        load(emotion, "SpeakerRecognition"),  # a classifier too
        load(speakers, "SpeakerRecognition"),
    )
    with upload_folder():
        page = build_page(models, max_seconds, threshold)
        server, bound = make_server(page, host, port, max_mb)
        shown = "localhost" if is_loopback(host) else host
        address = f"http://{shown}:{bound.getsockname()[1]}"
        if not is_loopback(host):
            click.echo(
                f"warning: --host {host} lets others reach this page, "
                "unencrypted and without a password",
                err=True,
            )
        click.echo(f"{address}  (Ctrl-C ends it)")
        if open_page:
            click.launch(address)
        run_until_stopped(server, bound)
