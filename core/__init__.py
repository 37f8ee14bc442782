"""BoxInst and CondInst on torch and torchvision.

Reading order: structures (records, shape legend) · config (every setting and its source) · datasets/annotation_file
(one COCO file) · datasets/coco · datasets/supervision (who has a mask) · model/condinst · targets/assignment ·
targets/color_similarity · targets/edges · losses/projection · losses/pairwise · config/loss and losses/criterion (the
table of terms) · training/step · training/loop · evaluation.
Also: model/mask_rcnn · pseudo_masks (baselines) · edge_purity (no training) · checkpoints (ours and AdelaiDet's) ·
compute (device, precision, workers, exit status of commands) · files · record (results of a trial, with the key that
identifies the training), result_tables (what lies beside records).
Commands: train · evaluation · evaluation/mask_iou · annotate · datasets/check · datasets/convert · datasets/download.
`core` imports neither Ray, MLflow nor DVC.
"""
