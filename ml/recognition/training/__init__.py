"""Training: pre-training on drawn captchas, tuning to a type, the type model, and packing an artifact.

`pretraining.pretrain`, `tuning.train_reader` and `types.train_types` are the ways in.
"""
