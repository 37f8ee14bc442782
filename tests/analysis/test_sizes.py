from matplotlib.figure import Figure

from analysis.published import read_published
from analysis.results import read_results
from analysis.sizes import plot_sizes
from analysis.tables import arm_table


def test_a_size_without_objects_is_left_out(tmp_path, write_results, study):
    results = read_results(write_results(tmp_path, {arm: [10.0] for arm in study.arms})).assign(mask_APl=float("nan"))
    axis = Figure().subplots()
    assert plot_sizes(axis, arm_table(results, study, read_published()), results, study) is axis
    assert [label.split(",")[0] for label in axis.get_legend_handles_labels()[1]] == ["small", "medium"]
