"""Whether a GPU computes float32 in its tensor cores."""

from contextlib import contextmanager

import torch


@contextmanager
def tensor_cores(allowed: bool):
    """Let convolutions and products of float32 use TF32, with 10 bits of the mantissa, within the block, or not."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        with torch.backends.cudnn.flags(allow_tf32=allowed):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
