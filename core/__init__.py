"""BoxInst and CondInst on torch and torchvision.

Reading order: structures (records, shape legend) · config (every setting and its source) · datasets/coco ·
model/condinst · targets/assignment · targets/color_similarity · losses/projection · losses/pairwise ·
losses/criterion · training_step · training · postprocess · evaluation.
`core` imports neither Ray, MLflow nor DVC.
"""
