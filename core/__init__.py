"""BoxInst and CondInst on torch and torchvision.

Reading order: structures (records, shape legend) · config (every setting and its source) · datasets/annotation_file
(one COCO file) · datasets/coco · datasets/supervision (who has a mask) · model/condinst · targets/assignment ·
targets/color_similarity · targets/edges · losses/projection · losses/pairwise · config/loss and losses/criterion (the
table of terms) · training/step · training/loop · evaluation.
Beside it: model/mask_rcnn and pseudo_masks (what BoxInst is compared with) · edge_purity (no training) ·
checkpoints (ours and AdelaiDet's) · compute (device, precision, several workers, how a command ends) · files · record
(what a trial leaves for the tables; its key says which training it was).
Commands: train · evaluation · annotate · datasets/check · datasets/download.
`core` imports neither Ray, MLflow nor DVC.
"""
