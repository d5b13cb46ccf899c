"""Real clips in SLURP's layout.

Authors
 * The d2v_sb developers 2026
"""

import json
import shutil

import soundfile as sf

SPLITS = ("train", "devel", "test", "train")


def make_slurp(folder, clips):
    """Short utterances become requests of ``alarm``, the others of
    ``calendar``, each recorded by both microphones; the first is also said by
    a machine. At least six clips, for both scenarios in each split."""
    lists = {name: [] for name in (*SPLITS, "train_synthetic")}
    metadata = {}
    for audio in ("slurp_real", "slurp_synth"):
        (folder / audio).mkdir(parents=True)
    ranked = sorted(clips, key=lambda clip: len(clip.words))
    half = len(ranked) // 2
    for number, clip in enumerate(ranked):
        scenario = "alarm" if number < half else "calendar"
        split = SPLITS[(number - half * (number >= half)) % len(SPLITS)]
        # Half of the real names have two hyphens.
        name = f"audio-{'-' * (number % 2)}{1490000000 + number}"
        close, distant = f"{name}-headset.flac", f"{name}.flac"
        shutil.copyfile(clip.path, folder / "slurp_real" / close)
        samples, rate = sf.read(clip.path)
        sf.write(folder / "slurp_real" / distant, samples / 4, rate)
        lists[split].append(
            sentence(number, clip, scenario, {close: 0.0, distant: 0.57})
        )
        metadata[str(number)] = {
            "nlub_id": 5000 + number,
            "recordings": {
                file: {
                    "ansid": number,
                    "recid": 20000 + number,
                    "status": "correct",
                    "usrid": f"UNK-{clip.speaker}",
                }
                for file in (close, distant)
            },
            "sentence_normalised": clip.words.lower(),
            "status": "correct",
        }
    shutil.copyfile(ranked[0].path, folder / "slurp_synth" / "synthetic-0.flac")
    lists["train_synthetic"].append(
        sentence(90000, ranked[0], "alarm", {"synthetic-0.flac": 0.0})
    )
    annotations = folder / "dataset" / "slurp"
    annotations.mkdir(parents=True)
    for name, sentences in lists.items():
        text = "".join(json.dumps(entry) + "\n" for entry in sentences)
        (annotations / f"{name}.jsonl").write_text(text, encoding="utf-8")
    text = json.dumps(metadata)
    (annotations / "metadata.json").write_text(text, encoding="utf-8")


def sentence(number, clip, scenario, recordings):
    """A line of a ``.jsonl``; ``recordings`` has the word error rates."""
    words = clip.words.lower().split()
    return {
        "slurp_id": number,
        "sentence": " ".join(words),
        "sentence_annotation": f"[date : {words[0]}] {' '.join(words[1:])}",
        "intent": f"{scenario}_set",
        "action": "set",
        "tokens": [
            {"surface": word, "id": i, "lemma": word, "pos": "NN"}
            for i, word in enumerate(words)
        ],
        "scenario": scenario,
        "recordings": [
            {"file": file, "wer": wer, "ent_wer": None, "status": "correct"}
            for file, wer in recordings.items()
        ],
        "entities": [{"span": [0], "type": "date"}],
    }
