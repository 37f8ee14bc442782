"""The loss terms, and the criterion that weighs and sums them.

The equations of BoxInst (arXiv:2012.02310) that this project names, and how sure each number is:

- 4: the probability that two pixels have the same label, which `pairwise` computes; quoted from the paper.
- 5: the pairwise loss with true labels, for edges of both kinds, same and different label; its author names it in
  AdelaiDet's issue #357.
- 8: the pairwise loss with boxes alone, for edges over the color threshold; the same issue sets it against 5.

We do not know the numbers for the projection term and for color similarity, so these are described without one.
"""
