"""What a checkpoint may be, as the help of commands says it.

Authors
 * The d2v_sb developers 2026
"""

SOURCE_HELP = (
    "SRC is a fairseq .pt, a Transformers folder, a .safetensors or .ckpt of "
    "d2v_sb, the output folder of a pretraining run, a checkpoint or inference "
    "folder of a recipe, or a hub name."
)
