"""BoxInst and CondInst on torch and torchvision.

Reading order: structures (records, shape legend) · config (every setting and its source) · recipe · datasets/coco ·
datasets/supervision (who has a mask) · model/condinst · targets/assignment · targets/color_similarity ·
losses/projection · losses/pairwise · losses/criterion · precision · training_step · workers (several GPUs) ·
effective_batch · epoch · training · postprocess · detection · coco_metrics · evaluation.
Beside it: model/mask_rcnn, pseudo_masks and self_training (what BoxInst is compared with) · edge_purity (no training) ·
released_weights (checkpoints of AdelaiDet's).
Commands: train · evaluation · annotate · datasets/check · datasets/download.
`core` imports neither Ray, MLflow nor DVC.
"""
