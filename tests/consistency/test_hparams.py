"""Each hparams file against its script, and the names that YAML may hold.

Authors
 * The d2v_sb developers 2026
"""

import pydoc
import re
from itertools import permutations
from pathlib import Path

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml

from d2v_sb.classification_folder import folder_text
from d2v_sb.hparams import read_plain
from d2v_sb.presets import PRESETS

ROOT = Path(__file__).resolve().parents[2]
HPARAMS = sorted((ROOT / "hparams").glob("*.yaml"))
PRETRAINING = [path for path in HPARAMS if "pretrain" in path.stem]
PROBING = [path for path in HPARAMS if path.stem.startswith("probe_")]
FINE_TUNING = [p for p in HPARAMS if p not in (*PRETRAINING, *PROBING)]
ASR_TASKS = ("d2v_ctc", "d2v_attention")
ASR = [path for path in FINE_TUNING if path.stem in ASR_TASKS]
SPEAKERS = ("d2v_speaker",)
CLASSIFIER_TASKS = (*SPEAKERS, "d2v_emotion")
CLASSIFIERS = [path for path in FINE_TUNING if path not in ASR]
COMMON = {
    "data_folder",
    "output_folder",
    "encoder",
    "number_of_updates",
    "batch_seconds",
    "seed",
}
COMMON_PROBING = {
    "data_folder",
    "output_folder",
    "prepared_folder",
    "cache_folder",
    "encoder",
    "mode",
    "head",
    "lr",
    "seed",
}
SPLITS = {"train_splits", "dev_splits"}
# Code of some tasks, by the beginning of their files' names, which the files of
# other tasks need not serve.
CODE = {
    "recipes/LibriSpeech/pretrain.py": ("d2v_pretrain",),
    "d2v_sb/pretraining/*.py": ("d2v_pretrain",),
    "recipes/LibriSpeech/train.py": ASR_TASKS,
    "recipes/VoxCeleb/train.py": SPEAKERS,
    "recipes/IEMOCAP/train.py": ("d2v_emotion",),
    "d2v_sb/finetuning/all_blank.py": ASR_TASKS,
    "d2v_sb/finetuning/base.py": (*ASR_TASKS, *CLASSIFIER_TASKS),
    "d2v_sb/finetuning/asr.py": ASR_TASKS,
    "d2v_sb/finetuning/classification.py": CLASSIFIER_TASKS,
    "d2v_sb/finetuning/regimes.py": ("d2v_ctc",),
    "d2v_sb/finetuning/ctc.py": ("d2v_ctc",),
    "d2v_sb/finetuning/attention.py": ("d2v_attention",),
    "d2v_sb/sweeping/*.py": ("d2v_ctc",),
    "recipes/Probing/train.py": ("probe_",),
    "d2v_sb/probing/*.py": ("probe_",),
    # These read those of an inference folder.
    "d2v_sb/windows.py": (),
    "d2v_sb/bulk/*.py": (),
    "d2v_sb/serving/*.py": (),
    "d2v_sb/publishing/*.py": (),
}
# Read where utterances are batched; crops have no lengths to sort by.
NOT_IN_PRETRAINING = {"num_buckets"}
# How long and large training is, the probes' own objects say.
NOT_IN_PROBING = {
    "batch_seconds",
    "lr_schedule",
    "num_buckets",
    "number_of_updates",
    "validate_interval_updates",
}
WORDS = "ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE ZERO HUNDRED".split()
# SpeechBrain's Brain reads these from the hparams itself.
BY_BRAIN = {
    "precision",
    "eval_precision",
    "max_grad_norm",
    "nonfinite_patience",
    "ckpt_interval_minutes",
}
# Saved models and users' files refer to these: renaming one breaks them.
PUBLIC = {
    "d2v_sb.augmentation.make_augmenter",
    "d2v_sb.beam_search.LMBeamSearcher",
    "d2v_sb.checkpointer.AtomicCheckpointer",
    "d2v_sb.classification_folder.PassThrough",
    "d2v_sb.crop_batches.Crops",
    "d2v_sb.finetuning.AllBlankDetector",
    "d2v_sb.finetuning.AngularMargin",
    "d2v_sb.finetuning.AttentionBrain",
    "d2v_sb.finetuning.CTCBrain",
    "d2v_sb.finetuning.ClassificationBrain",
    "d2v_sb.finetuning.CrossEntropy",
    "d2v_sb.finetuning.LargeMargin",
    "d2v_sb.inference.ctc_greedy_decode",
    "d2v_sb.inference.load_tokenizer",
    "d2v_sb.lm_folders.LanguageModelFile",
    "d2v_sb.lm_folders.LanguageModelFile.found",
    "d2v_sb.lobes.AttentionDecoder",
    "d2v_sb.lobes.CTCModel",
    "d2v_sb.lobes.Data2VecAudio",
    "d2v_sb.lobes.FilterBank",
    "d2v_sb.lobes.JointModel",
    "d2v_sb.lobes.Posteriors",
    "d2v_sb.lobes.SpeechEncoder",
    "d2v_sb.lobes.UtteranceClassifier",
    "d2v_sb.lobes.UtteranceEncoder",
    "d2v_sb.lobes.WeightedData2Vec",
    "d2v_sb.lobes.make_front_end",
    "d2v_sb.lobes.make_head",
    "d2v_sb.masking.FeatureMasking",
    "d2v_sb.presets.EncoderConfig",
    "d2v_sb.probing.CTCTask",
    "d2v_sb.probing.ClassificationTask",
    "d2v_sb.probing.Constant",
    "d2v_sb.probing.Epochs",
    "d2v_sb.probing.FrameProbe",
    "d2v_sb.probing.FrozenEncoder",
    "d2v_sb.probing.LayerSum",
    "d2v_sb.probing.Linear",
    "d2v_sb.probing.NewBob",
    "d2v_sb.probing.Segments",
    "d2v_sb.probing.Updates",
    "d2v_sb.probing.UtteranceProbe",
    "d2v_sb.probing.Whole",
    "d2v_sb.probing.beginnings",
    "d2v_sb.probing.make_frame_head",
    "d2v_sb.probing.make_utterance_head",
    "d2v_sb.probing.speaker_criterion",
    "d2v_sb.pretraining.CollapseGuard",
    "d2v_sb.pretraining.Curves",
    "d2v_sb.pretraining.LinearDecay",
    "d2v_sb.pretraining.LinearPredictor",
    "d2v_sb.pretraining.PretrainingBrain",
    "d2v_sb.pretraining.Student",
    "d2v_sb.pretraining.Teacher",
    "d2v_sb.search.joint_searcher",
    "d2v_sb.tokens.Subwords",
    "d2v_sb.tokens.make_tokenizer",
    "d2v_sb.utterances.Labels",
    "d2v_sb.utterances.class_weights",
}


def each(paths):
    """A test of each of these files."""
    return pytest.mark.parametrize("path", paths, ids=lambda p: p.stem)


def sources(path):
    """The code that reads the hparams of such a file."""
    files = {*ROOT.glob("recipes/*/*.py"), *ROOT.glob("d2v_sb/**/*.py")}
    for pattern, tasks in CODE.items():
        found = set(ROOT.glob(pattern))
        assert found, f"{pattern}: moved?"
        if not path.stem.startswith(tasks):
            files -= found
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@each(HPARAMS)
def test_the_common_keys_are_there_and_the_literal_command_works(path):
    plain = read_plain(path)
    wanted = COMMON if path in CLASSIFIERS else COMMON | SPLITS
    if path in PROBING:
        wanted = COMMON_PROBING
    assert set(plain) >= wanted
    assert plain["data_folder"].startswith("data/")


@each([*FINE_TUNING, *PROBING])
def test_fine_tuning_starts_from_published_weights_and_is_tested(path):
    plain = read_plain(path)
    assert plain["encoder"].startswith("facebook/data2vec-audio-")
    tests = ("test_splits", "split_file", "trials", "protocol")
    assert any(plain.get(name) for name in tests)


@each(PRETRAINING)
def test_pretraining_starts_from_the_architecture_of_its_name(path):
    plain = read_plain(path)
    assert path.stem == f"d2v_pretrain_{plain['encoder']}"
    blocks = PRESETS[plain["encoder"]].encoder_layers
    assert plain["average_top_k_layers"] <= blocks
    assert plain["pretrain_from"] is None


@each(HPARAMS)
def test_every_key_is_used_by_the_file_or_the_code(path):
    text, code = path.read_text(encoding="utf-8"), sources(path)
    keys = set(read_plain(path))
    if path in PRETRAINING:
        assert not keys & NOT_IN_PRETRAINING
    for key in keys:
        if key.startswith("__") or key in BY_BRAIN:
            continue
        referred = f"<{key}>" in text
        read = re.search(rf'["\']{key}["\']\]?|hparams\.{key}\b', code)
        assert referred or read, f"{key} is used nowhere"


@each(HPARAMS)
def test_every_key_that_the_code_reads_is_there(path):
    code = sources(path)
    wanted = set(re.findall(r'(?:hparams|plain)\["(\w+)"\]', code))
    wanted |= set(re.findall(r"\.hparams\.(\w+)", code))
    if path in PRETRAINING:
        wanted -= NOT_IN_PRETRAINING
    if path in PROBING:
        wanted -= NOT_IN_PROBING
    assert wanted - set(read_plain(path)) == set()


def test_pretraining_files_differ_in_values_alone():
    def shape(value):
        """Keys at each depth, in their order, and what is built of them."""
        if not hasattr(value, "items"):
            return None
        inside = [(key, shape(inner)) for key, inner in value.items()]
        return value.tag.value, inside

    first, *others = [shape(read_plain(path)) for path in PRETRAINING]
    assert others
    for other in others:
        assert other == first


def build(path, **overrides):
    """All objects of a file."""
    with open(path, encoding="utf-8") as stream:
        return load_hyperpyyaml(stream, overrides)


@each(ASR)
def test_a_fine_tuning_file_builds_what_it_describes(path, tmp_path):
    words = [f"{i},{a} {b}" for i, (a, b) in enumerate(permutations(WORDS, 2))]
    (tmp_path / "train.csv").write_text("\n".join(["ID,wrd", *words, ""]))
    hparams = build(
        path, encoder="base", output_folder=str(tmp_path), vocab_size=24
    )
    encoder, model = hparams["data2vec"], hparams["model"]
    assert encoder.output_size == 768
    assert hparams["modules"] == {"model": model}
    num_labels = len(hparams["tokenizer"])
    if "attention" in path.stem:
        assert model.encoder.encoder is encoder and num_labels == 24
        for head in (model.ctc_head, model.seq_head):
            assert head.w.weight.shape == (24, hparams["width"])
        assert hparams["tokenizer"].labels[:3] == ["<unk>", "<s>", "</s>"]
        assert len(model.decoder.decoder.layers) == hparams["num_layers"]
    else:
        assert model.encoder is encoder and num_labels == 29
        assert model.head.w.weight.shape == (29, 768)
    # The frozen phase: an eighth of the run, as 10k of 80k are.
    frozen = hparams["number_of_updates"] // 8
    assert encoder.freeze_finetune_updates == frozen
    assert encoder.set_num_updates(frozen - 1) is False
    assert encoder.set_num_updates(frozen) is True


@each(CLASSIFIERS)
def test_a_classifiers_file_builds_what_it_describes(path, tmp_path):
    rows = [f"{i},s{i % 5},c{i % 3}" for i in range(30)]
    text = "\n".join(["ID,spk_id,label", *rows, ""])
    (tmp_path / "train.csv").write_text(text)
    hparams = build(path, encoder="base", output_folder=str(tmp_path))
    num_classes = 3 if "emotion" in path.stem else 5
    assert len(hparams["labels"]) == num_classes
    model = hparams["model"]
    assert hparams["modules"] == {"model": model}
    embedding_model = model.embedding_model
    assert embedding_model.front_end.encoder is hparams["data2vec"]
    assert embedding_model.head.options["name"] == hparams["head"]
    with torch.no_grad():
        outputs = model(torch.randn(2, 8000))
    assert outputs.shape == (2, 1, num_classes)
    assert float(hparams["criterion"](outputs, torch.tensor([[0], [2]]))) > 0
    # What the file describes can be exported.
    scale = hparams["criterion"].scale
    assert "make_head" in folder_text(model, num_classes, scale)
    updates = hparams["number_of_updates"]
    frozen = hparams["data2vec"].freeze_finetune_updates
    assert 0 < frozen < updates / 2
    if "verification" in path.stem:
        interval = hparams["validate_interval_updates"]
        first = hparams["large_margin_stage"].first_epoch(updates, interval)
        assert frozen < (first - 1) * interval == updates * 0.9
    # 5 / 45 / 50 %.
    optimizer = hparams["opt_class"](model.parameters())
    for share, expected in {0: 0.01, 0.05: 1, 0.5: 1, 1: 0.05}.items():
        hparams["lr_schedule"](optimizer, round(share * updates))
        (group,) = optimizer.param_groups
        assert group["lr"] == pytest.approx(hparams["lr"] * expected, rel=1e-3)


def test_classifiers_files_have_the_same_shape():
    """What two files both have, they build of the same."""
    tags = [
        {
            key: value.tag.value
            for key, value in read_plain(path).items()
            if getattr(getattr(value, "tag", None), "value", None)
        }
        for path in CLASSIFIERS
    ]
    own = {"criterion", "classifier", "large_margin_stage"}
    for other in tags[1:]:
        for key in (other.keys() & tags[0].keys()) - own:
            assert other[key] == tags[0][key], key


@each(PROBING)
def test_a_probes_file_builds_what_it_describes(path, tmp_path):
    rows = [f"{i},1.0,{i}.wav,s{i % 5},c{i % 3},A B" for i in range(30)]
    text = "\n".join(["ID,duration,wav,spk_id,label,wrd", *rows, ""])
    overrides = {"prepared_folder": str(tmp_path), "fold": "."}
    (tmp_path / "train.csv").write_text(text)
    hparams = build(
        path, encoder="tiny", output_folder=str(tmp_path), **overrides
    )
    frozen, model = hparams["frozen"], hparams["model"]
    assert hparams["modules"] == {"model": model}
    assert not any(p.requires_grad for p in frozen.lobe.parameters())
    learned = set(map(id, model.parameters()))
    assert not learned & set(map(id, frozen.lobe.parameters()))
    assert len(model.layer_sum.weights) == 3  # of two blocks
    wavs = [torch.randn(8000), torch.randn(6000)]
    kept = frozen.test_view.keep(wavs, 8000)
    states, num_frames = frozen.test_view.complete(kept, [8000, 6000], ())
    with torch.no_grad():
        outputs = model.eval()(states, num_frames)
    if "ctc" in path.stem:
        # Blank, space, A, B: the letters of the transcripts.
        assert outputs.shape == (2, 24, 4)
    else:
        assert outputs.shape == (2, 1, 5 if "speaker" in path.stem else 3)
    assert hparams["head_rate"].at(1) == pytest.approx(hparams["lr"])
    weights_lr = hparams.get("lr_weights", hparams["lr"])
    assert hparams["weights_rate"].at(1) == weights_lr
    interval, updates = hparams["duration"].plan(7)
    if "superb" in path.stem:
        assert (interval, updates) == (
            hparams["validate_every"],
            hparams["total_updates"],
        )
    else:
        assert (interval, updates) == (7, 7 * hparams["number_of_epochs"])


@each(PRETRAINING)
def test_a_pretraining_file_builds_what_it_describes(path, tmp_path):
    plain = read_plain(path)
    regularisation = {
        "dropout": 0.11,
        "attention_dropout": 0.12,
        "activation_dropout": 0.13,
        "encoder_layerdrop": 0.14,
    }
    hparams = build(
        path,
        encoder="tiny",
        average_top_k_layers=2,
        output_folder=str(tmp_path),
        **regularisation,
    )
    student, teacher = hparams["student"], hparams["teacher"]
    encoder = hparams["data2vec"]
    assert hparams["modules"] == {"student": student}
    assert student.encoder is encoder and encoder.mask_emb.requires_grad
    assert student.predictor is hparams["predictor"]
    assert student.predictor.linear.weight.shape == (128, 128)
    for key, value in regularisation.items():
        assert getattr(encoder.config, key) == value

    # The teacher: a copy of the student's transformer.
    learns = encoder.encoder.state_dict()
    follows = teacher.transformer.state_dict()
    assert follows.keys() == learns.keys()
    for name, tensor in learns.items():
        assert torch.equal(follows[name], tensor)
        assert follows[name].data_ptr() != tensor.data_ptr()
    assert teacher.average_top_k_layers == 2 and teacher.ema_layers_only
    end = plain["ema_anneal_end_step"]
    assert teacher.decay(0) == plain["ema_decay"] == 0.999
    assert teacher.decay(end) == plain["ema_end_decay"] == 0.9999

    guard = hparams["collapse_guard"]
    start = plain["collapse_start"]
    assert guard.policy == "stop"
    assert guard.healthy(start, 0.0, 0.0)
    assert guard.healthy(start + 1, 0.1, 0.01)
    assert not guard.healthy(start + 1, 0.09, 0.01)
    assert not guard.healthy(start + 1, 0.1, 0.009)
    assert hparams["curves"].path == tmp_path / "curves.csv"

    # 3 / 90 / 7 %.
    optimizer = hparams["opt_class"](student.parameters())
    last = plain["number_of_updates"]
    shares = {0: 0.01, 0.03: 1, 0.5: 1, 0.92: 1, 0.965: 0.1, 1: 0.01}
    for share, expected in shares.items():
        hparams["lr_schedule"](optimizer, round(share * last))
        (group,) = optimizer.param_groups
        assert group["lr"] == pytest.approx(plain["lr"] * expected, rel=1e-3)

    # A resumed run has them all.
    recoverables = hparams["checkpointer"].recoverables
    assert recoverables["student"] is student
    assert recoverables["teacher"] is teacher
    assert recoverables["counter"] is hparams["epoch_counter"]


def test_names_that_yaml_may_hold_are_pinned():
    folders = (
        "inference.py",
        "beam_search.py",
        "classification_folder.py",
        "lm_folders.py",
    )  # what recipes export
    files = [*HPARAMS, *(ROOT / "d2v_sb" / name for name in folders)]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    used = set(re.findall(r"!(?:new|name|apply):(d2v_sb\.[\w.]+)", text))
    assert used <= PUBLIC
    for name in PUBLIC:
        assert pydoc.locate(name) is not None, name
