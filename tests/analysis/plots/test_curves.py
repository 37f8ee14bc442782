from analysis.plots.curves import curves_figure
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
    assert len(figure.axes) == 4  # both, full and AP, and the factor beside both
    assert figure.axes[3].get_yticks().tolist() == [0, 1]
