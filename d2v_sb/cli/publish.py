"""``d2v-sb publish``.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

import click

from d2v_sb.errors import UserError


@click.command()
@click.argument("src")
@click.argument("dst", type=click.Path(file_okay=False))
@click.option(
    "--inference",
    metavar="NAME",
    help="Which folder of a run, such as inference_lm.  [default: inference]",
)
@click.option(
    "--license",
    "licence",
    metavar="ID",
    help="The hub's identifier, such as apache-2.0 or cc-by-4.0. Left out, it "
    "is that of the encoder, where that came with d2v_sb.",
)
@click.option(
    "--license_file",
    "licence_file",
    type=click.Path(exists=True, dir_okay=False),
    help="The licence's text, for the file LICENSE.",
)
@click.option(
    "--language",
    "languages",
    multiple=True,
    metavar="CODE",
    help="ISO 639 code, such as en. Give it again for another.",
)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="ID",
    help="What it was trained on, by its name on the hub, such as "
    "openslr/librispeech_asr. Give it again for another.",
)
@click.option("--title", help="The card's heading.  [default: DST's name]")
@click.option(
    "--description",
    type=click.Path(exists=True, dir_okay=False),
    help="A Markdown file, in place of the card's first paragraph.",
)
@click.option(
    "--results",
    "tables",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="A CSV of measured runs, such as results/librispeech_ctc.csv, whose "
    "rows the card shows as other runs, beside this one's own figures. Needs "
    "--where.",
)
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Which rows of --results: all those with this value, or like this "
    "pattern with * and ?. Given again, both must hold.",
)
@click.option(
    "--push",
    "repo",
    metavar="USER/NAME",
    help="Shows what would be sent to the hub. With --yes it is sent.",
)
@click.option("--private", is_flag=True, help="A new repository is private.")
@click.option("--revision", metavar="BRANCH", help="Not main, another branch.")
@click.option("--yes", is_flag=True, help="Sends what --push shows.")
def publish(
    src,
    dst,
    inference,
    licence,
    licence_file,
    languages,
    datasets,
    title,
    description,
    tables,
    conditions,
    repo,
    private,
    revision,
    yes,
):
    """Makes a folder for others of a model: with a card and a licence.

    SRC is the output folder of a run, its inference folder, the output folder
    of a pretraining run or a .safetensors of d2v_sb. DST then has what
    SpeechBrain loads, a model card with the run's figures, and, where
    Transformers has such a model, what it loads. Nothing leaves this machine
    without --push and --yes.

    \b
    Examples:
      d2v-sb publish results/d2v_ctc/1986 letters --license cc-by-4.0 \\
          --language en
      d2v-sb publish results/d2v_ctc/1986 letters --license cc-by-4.0 \\
          --language en --push me/letters
      d2v-sb publish results/d2v_ctc/1986 letters --license cc-by-4.0 \\
          --language en --push me/letters --yes
    """
    of_push = {"--private": private, "--revision": revision, "--yes": yes}
    for name, given in of_push.items():
        if given and repo is None:
            raise UserError(f"{name} is of --push USER/NAME")
    if bool(tables) != bool(conditions):
        raise UserError(
            "--results and --where go together: a table holds runs of many "
            "models, so say which rows are of this one"
        )
    where = dict(_condition(text) for text in conditions)

    # Imported here: torch takes seconds, and help should not.
    from d2v_sb.publishing import Words, planned, publish, push
    from d2v_sb.publishing.licences import check_licence, licence_note
    from d2v_sb.publishing.run_results import old_results
    from d2v_sb.publishing.source import find_source
    from d2v_sb.publishing.table_results import chosen_results

    if repo is not None:  # a name that is none is said before any work
        planned(Path(dst), repo)
    others = [
        result
        for table in tables
        for result in chosen_results(Path(table), where)
    ]
    for result in others:
        click.echo(f"row of {result.origin}: {result}")
    source = find_source(src, inference)
    licence = check_licence(licence, source.origin, licence_file)
    words = Words(
        title or Path(dst).name,
        licence,
        languages,
        datasets,
        Path(description).read_text("utf-8") if description else None,
    )
    text = Path(licence_file).read_text("utf-8") if licence_file else None
    made = publish(source, dst, words, others, repo, text)
    notes = [licence_note(licence, source.origin)]
    if made.kept:
        notes.append(f"{made.folder}/README.md was edited, and is kept")
    if old := old_results(source):
        notes.append(
            f"left out, because older than the model: {', '.join(old)}. Give "
            "the run's command again, which tests it"
        )
    for note in filter(None, notes):
        click.echo(f"note: {note}", err=True)
    click.echo(f"{source.kind.name}: {src} -> {dst}")
    if repo is not None:
        plan = planned(made.folder, repo, private, revision)
        for line in plan.lines():
            click.echo(line)
        if not yes:
            click.echo("Nothing was sent. Look at it, then add --yes.")
            return
        url, left = push(plan)
        for name in left:
            click.echo(f"note: left there, not in {dst}: {name}", err=True)
        click.echo(f"sent: {url}")


def _condition(text):
    """COLUMN=VALUE as the two."""
    column, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--where {text}: give it as COLUMN=VALUE")
    return column.strip(), value.strip()
