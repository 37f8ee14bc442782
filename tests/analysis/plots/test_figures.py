import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.plots.curves import curves_figure
from analysis.plots.figures import arms_figure, plot_arms, plot_estimates, plot_sizes, sizes_figure, styled
from analysis.plots.saving import save
from analysis.published import read_published
from analysis.results import read_records, read_results
from analysis.tables.study_table import arm_table

APS = {"box_mask": [11.0, 13.0], "projection": [30.0], "pairwise": [None], "both": [48.0, 51.0], "full": [60.0, 61.0]}


@pytest.fixture
def results(tmp_path, write_results, write_records):
    path = write_results(tmp_path, APS)
    write_records(tmp_path)
    return read_results(path)


def test_equal_inputs_give_equal_bytes(tmp_path, results, study):
    published = read_published()
    table = arm_table(results, study, published)
    records = read_records(results, tmp_path / "loss_terms" / "trials")
    written = []
    for run in ("one", "two"):
        with styled():
            files = save(arms_figure(table, results, study, published, "Made up."), tmp_path / run / "arms")
            files += save(
                curves_figure({"both": [records["both0"], records["both1"]]}, study), tmp_path / run / "curves"
            )
        written.append([path.read_bytes() for path in files])
    assert len(written[0]) == 4
    assert written[0] == written[1]


def test_values_of_both_sides_are_printed_and_the_axis_is_returned(results, study):
    axis = Figure().subplots()
    published = read_published()
    assert plot_arms(axis, arm_table(results, study, published), results, study, published) is axis
    printed = [text.get_text() for text in axis.texts]
    assert printed == ["12.0", "30.0", "no result", "49.5", "60.5", "10.6", "21.2", "30.7", "35.7"]
    labels = axis.get_legend_handles_labels()[1]
    assert any("COCO val2017, R-50 1x; V: verified" in label for label in labels)
    assert [label.get_text() for label in axis.get_xticklabels()][3] == "projection\n+ pairwise"


def test_the_name_of_an_arm_is_below_its_bar(results, study):
    axis = Figure().subplots()
    plot_arms(axis, arm_table(results, study, read_published()), results, study, read_published())
    middles = [bar.get_x() + bar.get_width() / 2 for bar in axis.patches if bar.get_height()]
    assert middles == pytest.approx([0, 1, 3, 4])  # pairwise has no result
    assert axis.get_xticks().tolist() == [0, 1, 2, 3, 4]


def test_unconfirmed_numbers_are_hollow(results, study):
    axis = Figure().subplots()
    plot_arms(axis, arm_table(results, study, read_published()), results, study, read_published())
    faces = {
        line.get_label(): line.get_markerfacecolor() for line in axis.lines if "published" in str(line.get_label())
    }
    assert {label.split("; ")[1][:2]: face == "white" for label, face in faces.items()} == {"M:": True, "V:": False}


def test_estimates_show_mean_interval_and_each_seed_and_leave_out_holes(results):
    axis = Figure().subplots()
    places = {"box_mask": 0.0, "projection": 1.0, "pairwise": 2.0}
    plot_estimates(axis, places, results, "mask_AP", color="black", label="ours", line=True, values=True)
    means, *others = axis.lines
    assert means.get_xydata().tolist() == [[0.0, 12.0], [1.0, 30.0]]  # pairwise has no number
    dots = [line for line in others if line.get_markersize() == 3]
    assert [line.get_ydata().tolist() for line in dots] == [[11.0, 13.0]]  # one seed is no spread
    assert [text.get_text() for text in axis.texts] == ["12.0", "30.0"]


def test_arms_without_any_number_draw_nothing(results):
    axis = plot_estimates(Figure().subplots(), {"nobody": 0.0}, results, "mask_AP", color="black", label="gone")
    assert not axis.lines  # an empty line would leave a legend entry without marks


def test_a_size_without_objects_is_left_out(results, study):
    axis = Figure().subplots()
    results = results.assign(mask_APl=float("nan"))
    assert plot_sizes(axis, arm_table(results, study, read_published()), results, study) is axis
    assert [label.split(",")[0] for label in axis.get_legend_handles_labels()[1]] == ["small", "medium"]


@pytest.mark.parametrize("figure", [sizes_figure, lambda *parts: arms_figure(*parts[:3], read_published(), parts[3])])
def test_no_text_of_a_legend_leaves_its_figure(results, study, figure):
    with styled():
        drawn = figure(arm_table(results, study, read_published()), results, study, "Made up. " * 30)
        FigureCanvasAgg(drawn).draw()
        width = drawn.bbox.width
        (legend,) = drawn.legends
        for text in (legend.get_title(), *legend.get_texts()):
            extent = text.get_window_extent()
            assert 0 <= extent.x0 <= extent.x1 <= width, text.get_text()
