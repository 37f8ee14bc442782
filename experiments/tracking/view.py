"""A view of an experiment that MLflow's page of runs offers under "Views": the arms of one sweep, with their mask AP.

MLflow keeps a view as a tag of the experiment, as its "Save as new view" writes it: the filter, the columns, the
grouping and the charts, as its page holds them. A page that does not know one of them ignores it.
"""

import json

PREFIX = "mlflow.sharedViewState."  # of the tag; then the key that an address names in `viewStateShareKey`
MASK_AP = "final/mask_AP"
SHOWN = ("final/mask_AP", "final/mask_AP50")  # columns; more do not fit a screen of 1280 px
SECTION, CHART = "arms", "arms-mask-ap"  # ids within the view


def view_tag(name: str) -> str:
    """The tag of the view of this name."""
    return PREFIX + "".join(letter if letter.isalnum() else "-" for letter in name)


def arms_view(name: str, parent_id: str, now_ms: int) -> str:
    """The view of the trials below the run `parent_id`: a row and a bar for each arm, the mean over its seeds."""
    columns = [f"metrics.`{metric}`" for metric in SHOWN]
    section = {"uuid": SECTION, "name": "mask AP by arm", "display": True}
    chart = {"uuid": CHART, "type": "BAR", "metricKey": MASK_AP, "metricSectionId": SECTION, "runsCountToCompare": 20}
    state = {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{parent_id}'",
        "orderByKey": columns[0],
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "param", "groupByData": "arm"}]},
        "useGroupedValuesInCharts": True,
        "compareRunSections": [
            section | {"isReordered": True, "deleted": False, "isGenerated": False, "cardsPerRow": 1}
        ],
        "compareRunCharts": [chart | {"deleted": False, "isGenerated": False, "displayName": "mask AP"}],
        "isAccordionReordered": True,
        "runsHiddenMode": "SHOW_ALL",
    }
    return json.dumps({"name": name, "createdAt": now_ms, "updatedAt": now_ms, "state": json.dumps(state)})
