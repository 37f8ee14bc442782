"""The tables that a study's results hold beside its records: names of files and columns, for writer and reader.

Both have one row a trial. `resampled_ap.csv` has its mask AP on all validation images, then on samples of as many
images drawn with replacement, the same for every trial, in one column a draw. `mask_ious.csv` has how many of its
matched masks (`core.evaluation.mask_quality`) have an IoU in each twentieth of 0..1; the last holds 1, too.
"""

RESAMPLED_AP = "resampled_ap.csv"
MASK_IOUS = "mask_ious.csv"
TRIAL_KEY, VALIDATION_FILE, ALL_IMAGES = (
    "trial_key",
    "validation_file",
    "all_images",
)  # the file by 16 hex digits of its SHA-256
NUM_BINS = 20
BINS = tuple(f"from_{index / NUM_BINS:.2f}" for index in range(NUM_BINS))  # columns: the lower ends of the IoUs
