import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.plots.curves import curves_figure, plot_ap
from analysis.plots.figures import styled
from analysis.plots.saving import save
from tests.analysis.made_up import record_of


def test_curves_of_trials_that_were_never_evaluated_still_draw(tmp_path, study):
    epoch = {"epoch": 1, "loss/projection": 0.5, "loss/pairwise": 0.0, "pairwise_warmup": 0.0}
    record = record_of({}, curves=[epoch])
    with styled():
        figure = curves_figure({"projection": [record]}, study)
        save(figure, tmp_path / "curves", ("png",))
    terms = figure.axes[0].get_legend_handles_labels()[1]
    assert terms == ["projection"]  # a term that is always 0 is off


def test_the_warm_up_has_an_axis_of_its_own_where_the_pairwise_term_acts(study):
    epochs = [{"epoch": e, "loss/projection": 0.5, "loss/pairwise": 0.1, "pairwise_warmup": e / 2} for e in (1, 2)]
    plain = [{"epoch": e, "loss/dice": 0.5, "pairwise_warmup": e / 2} for e in (1, 2)]
    with styled():
        figure = curves_figure({"both": [record_of({}, curves=epochs)], "full": [record_of({}, curves=plain)]}, study)
    assert figure.axes[0].get_legend_handles_labels()[1][-1] == "pairwise warm-up (right)"
    assert len(figure.axes) == 3  # both, full, and the factor beside both
    assert figure.axes[2].get_yticks().tolist() == [0, 1]


def test_the_mask_loss_of_another_architecture_is_drawn_as_its_own(study):
    epochs = [{"epoch": e, "loss/mask": 0.5, "loss/total": 2.0} for e in (1, 2)]
    with styled():
        panel = curves_figure({"full": [record_of({}, curves=epochs)] * 2}, study).axes[0]
    assert panel.get_legend_handles_labels()[1] == ["cross-entropy, true mask"]
    assert [line.get_ydata().tolist() for line in panel.lines] == [[0.5, 0.5]] * 2


def test_a_mask_that_grabcut_made_is_not_called_true(study):
    epochs = [{"epoch": 1, "loss/dice": 0.5}]
    made = record_of({"supervision": {"pseudo_masks": "grabcut"}}, curves=epochs)
    with styled():
        panels = curves_figure({"both": [made], "full": [record_of({}, curves=epochs)]}, study).axes
    assert [panel.get_legend_handles_labels()[1] for panel in panels[:2]] == [
        ["Dice, pseudo mask"],
        ["Dice, true mask"],
    ]


def test_the_names_of_many_arms_lie_in_the_figure_below_the_panels(study):
    epochs = [{"epoch": e, "loss/dice": 0.5, "mask_AP": 10.0 * e} for e in (1, 2)]
    with styled():
        figure = curves_figure({arm: [record_of({}, curves=epochs)] for arm in study.arms}, study)
        FigureCanvasAgg(figure).draw()
        (legend,) = figure.legends
        extent = legend.get_window_extent()
        assert 0 <= extent.x0 <= extent.x1 <= figure.bbox.width
        assert all(not extent.overlaps(axis.get_window_extent()) for axis in figure.axes)
    assert [text.get_text() for text in legend.get_texts()] == [study.label(arm) for arm in study.arms]


def test_the_panel_of_mask_ap_has_one_line_an_arm_the_mean_of_its_seeds(study):
    seeds = [[{"epoch": 2, "mask_AP": 10.0 + add}, {"epoch": 4, "mask_AP": 20.0 + add}] for add in (0.0, 4.0)]
    with styled():
        figure = Figure()
        panel = plot_ap(figure.subplots(), {"both": [record_of({}, curves=epochs) for epochs in seeds], "none": []})
    assert [line.get_xydata().tolist() for line in panel.lines] == [[[2.0, 12.0], [4.0, 22.0]]]


def test_no_two_of_many_arms_look_alike_in_the_panel_of_mask_ap():
    record = record_of({}, curves=[{"epoch": 1, "mask_AP": 10.0}])
    with styled():
        figure = Figure()
        panel = plot_ap(figure.subplots(), {f"arm {i}": [record] for i in range(16)})
    looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in panel.lines}
    assert len(looks) == 16


@pytest.mark.parametrize(("epochs", "panels"), [((2,), 2), ((1, 2), 3)])
def test_mask_ap_has_a_panel_only_if_it_was_measured_more_than_once(study, epochs, panels):
    curves = [{"epoch": e, "loss/dice": 0.5} | ({"mask_AP": 10.0 * e} if e in epochs else {}) for e in (1, 2)]
    with styled():
        figure = curves_figure({arm: [record_of({}, curves=curves)] for arm in ("both", "full")}, study)
    assert len(figure.axes) == panels
    assert len(figure.legends) == panels - 2
