import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis.plots.figures import styled
from analysis.presentation import main_figure, own_columns, study_table
from analysis.studies.annotation_budget import AnnotationCost, annotation_times
from analysis.study_data import read_study_data

APS = {"boxes_25": [40.0], "boxes_100": [50.0], "masks_9": [38.0], "masks_4_boxes_54": [45.0], "masks_100": [60.0]}


WHOLE = 3600  # instances, and seconds an hour
OWN = {"boxes_25": 1000, "boxes_100": WHOLE, "masks_9": 300, "masks_4_boxes_54": 2000, "masks_100": WHOLE}


@pytest.fixture
def read(tmp_path, write_study):
    def run(num_instances=None, cost=None, aps=APS):
        path = write_study(tmp_path, "annotation_budget", aps, num_instances=num_instances, failed_records=True)
        return read_study_data(path, tmp_path, cost)

    return run


def test_hours_follow_from_each_arm_s_own_instances(read):
    data = read(num_instances=OWN)
    times, unit = annotation_times(data.results, data.records, AnnotationCost())
    assert unit == "hours"
    # seconds over 3600: 1000 boxes, 300 masks; of 2000 instances 0.0442 / 0.5442 have masks and the others boxes
    assert times["time"].to_dict() == pytest.approx(
        {
            "boxes_25": 1000 * 7 / 3600,
            "boxes_100": 7.0,
            "masks_9": 300 * 79.2 / 3600,
            "masks_4_boxes_54": 2000 * (0.0442 * 79.2 + 0.5 * 7) / 0.5442 / 3600,
            "masks_100": 79.2,
        }
    )
    assert times["kind"].tolist() == ["boxes only", "boxes only", "masks only", "masks and boxes", "masks only"]


def test_a_failed_trial_tells_its_instances_and_an_arm_that_tells_none_has_its_share_of_the_others(read):
    failed = APS | {"boxes_100": [None], "masks_100": [None]}
    data = read(num_instances={"boxes_100": WHOLE}, aps=failed)
    times, unit = annotation_times(data.results, data.records, AnnotationCost())
    assert unit == "hours"
    assert times["time"]["boxes_100"] == 7.0
    assert times["time"]["boxes_25"] == pytest.approx(1.75)
    # one arm of a quarter of the images: 4000 in all, not its 1000
    data = read(num_instances={"boxes_25": 1000}, aps=failed)
    times, _ = annotation_times(data.results, data.records, AnnotationCost())
    assert times["time"]["masks_100"] == pytest.approx(4000 * 79.2 / 3600)


def test_without_the_number_of_instances_time_is_relative(read):
    data = read(cost=AnnotationCost(seconds_per_box=10.0, seconds_per_mask=50.0))
    times, unit = annotation_times(data.results, data.records, data.cost)
    assert unit == "multiples of boxes on all images"
    assert times["time"]["boxes_25"] == 0.25
    assert times["time"]["masks_100"] == 5.0
    assert "at 50 s per mask and 10 s per box" in own_columns(data).notes[0]
    assert "arXiv:1405.0312" in own_columns(data).notes[0]


def test_each_arm_stands_by_name_at_its_time(read):
    data = read(num_instances=dict.fromkeys(APS, WHOLE) | {"boxes_25": WHOLE // 4})
    with styled():
        (axis,) = main_figure(data, study_table(data)).axes
    assert {text.get_text() for text in axis.texts} >= {"25 % of boxes", "4 % of masks, 54 % of boxes"}
    assert axis.get_xlabel() == "annotation time (hours), 79.2 s per mask, 7 s per box"
    assert axis.lines[0].get_xydata() == pytest.approx(np.array([[1.75, 40.0], [7.0, 50.0]]))


def test_the_names_of_arms_that_reach_the_same_in_the_same_time_stand_above_each_other(read):
    data = read(
        num_instances=dict.fromkeys(APS, WHOLE) | {"boxes_25": WHOLE // 4},
        aps=APS | {"boxes_100": [50.0], "masks_4_boxes_54": [50.1]},
    )
    with styled():
        figure = main_figure(data, study_table(data))
        FigureCanvasAgg(figure).draw()
        extents = {text.get_text(): text.get_window_extent() for text in figure.axes[0].texts}
    assert not extents["100 % of boxes"].overlaps(extents["4 % of masks, 54 % of boxes"])


def test_a_cost_of_nothing_is_refused():
    with pytest.raises(ValueError, match="seconds_per_mask is 0, expected more than 0"):
        AnnotationCost(seconds_per_mask=0)
