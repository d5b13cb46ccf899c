"""``d2v-sb convert``.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

import click

from d2v_sb.cli.sources import SOURCE_HELP
from d2v_sb.errors import UserError

# Beside the encoder, in a pretrained checkpoint.
PRETRAINING = ("predictor", "teacher")
ENDINGS = {"native": ".safetensors", "fairseq": ".pt"}


@click.command(epilog=SOURCE_HELP)
@click.argument("src")
@click.argument("dst", type=click.Path())
@click.option(
    "--to",
    "target",
    type=click.Choice(["hf", "native", "fairseq"]),
    required=True,
    help="hf: a Transformers folder. native: one .safetensors of ours. "
    "fairseq: a pretrained .pt of its form.",
)
@click.option(
    "--weights",
    type=click.Choice(["student", "teacher"]),
    default="student",
    show_default=True,
    help="Whose transformer a pretrained model's encoder gets.",
)
@click.option(
    "--half", is_flag=True, help="native: write the weights as float16."
)
@click.option(
    "--dict",
    "dictionary",
    type=click.Path(exists=True, dir_okay=False),
    help="fairseq's dict.ltr.txt, if it does not lie beside SRC.",
)
def convert(src, dst, target, weights, half, dictionary):
    """Converts a checkpoint to another format.

    SRC is read, DST is made and must not be there yet.

    \b
    Examples:
      d2v-sb convert checkpoint.pt folder --to hf
      d2v-sb convert folder encoder.safetensors --to native
    """
    # Imported here: torch takes seconds, and help should not.
    import torch

    from d2v_sb.checkpoints import (
        load_checkpoint,
        save_fairseq,
        save_hf,
        save_native,
    )

    if Path(dst).exists():
        raise UserError(f"{dst} is there already: remove it, or name another")
    if half and target != "native":
        raise UserError(f"--half is of --to native, not of --to {target}")
    checkpoint = load_checkpoint(src, dictionary=dictionary)
    if checkpoint.encoder is None:
        raise UserError(f"{src} names an architecture without weights")
    ending = ENDINGS.get(target, "")
    if not dst.endswith(ending):
        raise UserError(f"{dst}: a {target} file ends in {ending}")
    checkpoint = checkpoint.choose(weights)
    if target == "native":
        save_native(checkpoint, dst, torch.float16 if half else None)
    elif target == "fairseq":
        save_fairseq(checkpoint, dst)
    else:
        save_hf(checkpoint, dst)
    for line in _lacks(checkpoint, target, weights):
        click.echo(line)
    click.echo(f"{checkpoint.kind}: {src} -> {dst}")


def _lacks(checkpoint, target, weights):
    """What is not in the file that was written, and what that means."""
    parts = {name: getattr(checkpoint, name) for name in PRETRAINING}
    if target == "hf":
        for name in parts:
            if parts[name] and name != weights:
                yield f"left out: the {name}; Transformers has none"
    if target == "fairseq":
        missing = " and no ".join(n for n in parts if not parts[n])
        if missing:
            yield (
                f"it has no {missing}: fairseq can fine-tune from it, but not "
                "load it as a pretraining model"
            )
