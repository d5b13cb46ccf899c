"""Draws the error rate over the weights of language model and words.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.atomic import replacing


def plot_surface(points, target):
    """Draws WER on dev over alpha and beta, by the beam size that most have.

    Arguments
    ---------
    points : iterable of Point
        What was decoded.
    target : str or pathlib.Path
        The picture; its ending (.svg, .png, .pdf) says of what kind.
    """
    from matplotlib.figure import Figure

    points = list(points)
    sizes = [point.beam_size for point in points]
    size = max(set(sizes), key=sizes.count)
    shown = [point for point in points if point.beam_size == size]
    best = min(shown, key=lambda point: point.WER)
    alphas = sorted({point.alpha for point in shown})
    betas = sorted({point.beta for point in shown})
    surface = [[float("nan")] * len(alphas) for _ in betas]
    for point in shown:
        row, column = betas.index(point.beta), alphas.index(point.alpha)
        surface[row][column] = point.WER
    figure = Figure(
        figsize=(2.5 + 0.7 * len(alphas), 1.5 + 0.5 * len(betas)),
        layout="constrained",
    )
    axis = figure.subplots()
    image = axis.imshow(
        surface, origin="lower", aspect="auto", cmap="viridis_r"
    )
    middle = (best.WER + max(point.WER for point in shown)) / 2
    for point in shown:
        axis.text(
            alphas.index(point.alpha),
            betas.index(point.beta),
            f"{point.WER:.1f}",
            ha="center",
            va="center",
            color="white" if point.WER > middle else "black",
            weight="bold" if point == best else "normal",
        )
    axis.set_xticks(range(len(alphas)), [f"{alpha:g}" for alpha in alphas])
    axis.set_yticks(range(len(betas)), [f"{beta:g}" for beta in betas])
    axis.set_xlabel("alpha: weight of the language model")
    axis.set_ylabel("beta: what each word counts")
    axis.set_title(f"WER % on dev, beam of {size}", fontsize=10)
    figure.colorbar(image)
    with replacing(target) as beside:
        figure.savefig(beside)
