"""Installs d2v_sb and its command ``d2v-sb``.

Authors
 * The d2v_sb developers 2026
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
README = HERE / "README.md"

# Read, not imported: an import would need torch in the build environment.
VERSION = re.search(
    r'^__version__ = "([^"]+)"',
    (HERE / "d2v_sb" / "__init__.py").read_text(encoding="utf-8"),
    re.MULTILINE,
).group(1)

# torch and torchaudio start where SpeechBrain 1.1 starts; constraints.txt
# says which pair is known to work.
REQUIRES = [
    "speechbrain>=1.1,<2",
    "torch>=2.7.1,<3",
    "torchaudio>=2.7.1,<3",
    "hyperpyyaml>=1.2.2,<2",
    "ruamel.yaml>=0.17.28,<0.20",
    "sentencepiece>=0.1.99,<0.3",
    "jiwer>=3.0,<5",
    "safetensors>=0.4.3,<1",
    "huggingface_hub>=0.25,<3",
    "soundfile>=0.12.1,<1",
    "numpy>=1.24,<3",
    "click>=8.2,<9",
    "tqdm>=4.42,<5",
    "matplotlib>=3.7,<4",
    "jinja2>=3.1,<4",
]

AV = "av>=12,<19"
GRADIO = "gradio>=6.31,<7"
PYARROW = "pyarrow>=15,<27"
TENSORBOARD = "tensorboard>=2.14,<3"
SCIKIT_LEARN = "scikit-learn>=1.3,<2"
TRANSFORMERS = "transformers>=5,<6"
# Older ones need what setuptools has no more.
SUBMITIT = "submitit>=1.5.4,<2"

# Sphinx is tried from 8.2 on, which needs Python 3.11.
DOCS = [
    f"{name}; python_version >= '3.11'"
    for name in ("sphinx>=8.2,<10", "myst-parser>=4,<6", "furo>=2024.8.6")
]

EXTRAS = {
    "test": [
        "pytest>=8.1,<10",
        "pytest-xdist>=3.6,<4",
        # A minor version of ruff may format differently, so one is chosen.
        "ruff>=0.17,<0.18",
        "mypy>=1.11,<3",
        "yamllint>=1.35,<2",
        # [toml]: below Python 3.11 codespell can not read pyproject.toml
        # without it and silently ignores its settings.
        "codespell[toml]>=2.3,<3",
        TRANSFORMERS,
        AV,
        GRADIO,
        PYARROW,
        SUBMITIT,
        *DOCS,
        # Drives the page in a browser, where Chromium is installed.
        "playwright>=1.45,<2",
        TENSORBOARD,
        SCIKIT_LEARN,  # an independent ROC, F1 and confusion
    ],
    # To read m4a, mp4, webm and what else FFmpeg reads.
    "av": [AV],
    "demo": [AV],
    # SpeechBrain imports both for beam search with a language model.
    "lm": ["kenlm>=0.2,<1", "pygtrie>=2.5,<3"],
    "hf": [TRANSFORMERS],
    # To write features as Parquet.
    "parquet": [PYARROW],
    # The page of d2v-sb serve.
    "serve": [GRADIO, AV],
    # d2v-sb benchmark --slurm.
    "slurm": [SUBMITIT],
    "docs": DOCS,
    "tensorboard": [TENSORBOARD],
}

setup(
    name="d2v_sb",
    version=VERSION,
    description="data2vec audio for SpeechBrain: encoder, recipes, inference",
    long_description=(
        README.read_text(encoding="utf-8") if README.exists() else ""
    ),
    long_description_content_type="text/markdown",
    author="The d2v_sb developers",
    license="Apache-2.0",
    keywords="speech, self-supervised learning, data2vec, SpeechBrain, ASR",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Multimedia :: Sound/Audio :: Speech",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    # With it an editable install is a plain path, and the package is found from
    # the folder above a clone too, where the clone's own name would hide it.
    package_dir={"": "."},
    packages=find_packages(include=["d2v_sb", "d2v_sb.*"]),
    package_data={
        "d2v_sb": ["weights/*"],
        "d2v_sb.reporting": ["page.*"],
        "d2v_sb.benchmark": ["*.html"],
    },
    python_requires=">=3.10",
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["d2v-sb = d2v_sb.cli:main"]},
)
