"""What a study's tables and figures are made of: the edge purity that was measured on the data of its trials."""

import pandas as pd
import pytest

from analysis.study_data import of_same_edges
from tests.analysis.made_up import record_of


@pytest.mark.parametrize("digests", [("data",), ("data", "data and masks"), ("data and masks", "data")])
def test_the_edge_purity_is_that_of_any_trial_since_a_file_of_masks_is_in_the_digest_of_some(digests) -> None:
    columns = {"neighborhood_size": 3, "neighborhood_dilation": 2, "color_temperature": 2.0, "short_side": 64}
    measured = pd.DataFrame([columns | {"data_digest": name} for name in ("data", "elsewhere")])
    records = {name: record_of({}).changed(config={}, data_digest=name) for name in digests}
    assert of_same_edges(measured, records)["data_digest"].tolist() == ["data"]
    assert of_same_edges(measured[1:], records) is None
