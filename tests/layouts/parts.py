"""Parts of the small real corpora, by links, in their own layouts.

Authors
 * The d2v_sb developers 2026
"""


def part_of_librispeech(folder, corpora):
    """Three speakers to train on, one for dev, one for each test set."""
    root = corpora / "librispeech_mini"
    for target, split, number in (
        ("train-clean-100", "dev-clean", 2),
        ("dev-clean", "test-clean", 1),
        ("test-clean", "test-clean", 1),
        ("test-other", "test-clean", 1),
    ):
        speakers = sorted(p for p in (root / split).iterdir() if p.is_dir())
        (folder / target).mkdir(parents=True)
        for speaker in speakers[:number]:
            (folder / target / speaker.name).symlink_to(speaker)
    return folder


def part_of_voxceleb(folder, corpora, num_speakers=4):
    """Some speakers to train on, and two of the trials with their trials."""
    root = corpora / "voxceleb_mini"
    trials = (root / "veri_test.txt").read_text().splitlines()
    tested = sorted({line.split()[1].split("/")[0] for line in trials})[:2]
    split = (root / "iden_split.txt").read_text().splitlines()
    spoken = sorted({line.split()[1].split("/")[0] for line in split})
    rest = [speaker for speaker in spoken if speaker not in tested]
    chosen = [*rest[:num_speakers], *tested]
    (folder / "wav").mkdir(parents=True)
    for speaker in chosen:
        (folder / "wav" / speaker).symlink_to(root / "wav" / speaker)
    pairs = [line for line in trials if _speakers(line) <= set(tested)]
    (folder / "veri_test2.txt").write_text("\n".join(pairs) + "\n")
    lines = [x for x in split if x.split()[1].split("/")[0] in chosen]
    (folder / "iden_split.txt").write_text("\n".join(lines) + "\n")
    return folder


def part_of_iemocap(folder, corpora, num_sessions=2):
    """The first sessions."""
    folder.mkdir(parents=True)
    for number in range(1, num_sessions + 1):
        name = f"Session{number}"
        (folder / name).symlink_to(corpora / "iemocap_mini" / name)
    return folder


def _speakers(line):
    return {name.split("/")[0] for name in line.split()[1:]}
