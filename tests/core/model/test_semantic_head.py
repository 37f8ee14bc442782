import torch

from core.model.semantic_head import SemanticHead


def test_every_cell_has_a_logit_per_class_which_starts_at_the_prior() -> None:
    head = SemanticHead(in_channels=4, channels=6, num_classes=3, class_prior=0.01)
    torch.nn.init.zeros_(head.logits.weight)
    logits = head(torch.randn(2, 4, 5, 7))
    assert logits.shape == (2, 3, 5, 7)
    torch.testing.assert_close(logits.sigmoid(), torch.full((2, 3, 5, 7), 0.01))
