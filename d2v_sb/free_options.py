"""Options of a run that another start may give otherwise.

A module of its own, which imports nothing: commands that only look at a run
need no torch.

Authors
 * The d2v_sb developers 2026
"""

# Where things are, and how fast they go.
PLACE_AND_SPEED = frozenset(
    "data_folder output_folder save_folder train_log inference_folder "
    "converted_folder prepared_folder csv_folder cache_folder cache_gb skip_prep "
    "download device num_workers num_buckets gpu_batch_seconds "
    "autobatch checkpoint_activations checkpoint_feature_extractor "
    "ckpt_interval_minutes".split()
)
# What may change in a run that goes on: these too, what is tested, and how
# long the run is, with what follows from that.
FREE = PLACE_AND_SPEED | frozenset(
    "eval_precision trials snorm_top snorm_clips fold best_by "
    "number_of_updates freeze_finetune_updates large_margin_updates".split()
)
