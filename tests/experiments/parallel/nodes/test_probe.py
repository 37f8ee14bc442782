"""What the look at the nodes says: each bad one by its address, with the reason, in one sentence."""

import pytest

from experiments.parallel.nodes import probe

NODES = {"54e10c2a7787e9": {"NodeManagerAddress": "10.0.0.2"}, "f244f1aa": {"NodeManagerAddress": "10.0.0.3"}}


def test_only_bad_nodes_are_named_with_address_id_and_reason() -> None:
    probe._refuse(dict.fromkeys(NODES, ""), NODES)
    with pytest.raises(ValueError, match=r"^1 of 2 nodes cannot run trials: node 10\.0\.0\.2 \(id 54e10c2a\): full;"):
        probe._refuse({"54e10c2a7787e9": "full", "f244f1aa": ""}, NODES)


def test_a_node_that_does_not_answer_or_fails_is_told_from_one_that_does(monkeypatch) -> None:
    def get(reference: str) -> str:
        if reference == "broken":
            raise RuntimeError("Traceback ...\n  File ...\nModuleNotFoundError: No module named 'torch'\n")
        return "seen"

    nodes = {name: {} for name in ("well", "late", "broken")}
    monkeypatch.setattr(probe, "on_node", lambda node: node)
    monkeypatch.setattr(probe.ray, "wait", lambda references, **limits: (["well", "broken"], ["late"]))
    monkeypatch.setattr(probe.ray, "get", get)
    answers = probe._ask(nodes, lambda on: on)
    assert answers["well"] == "seen"
    assert answers["late"] == "no answer after 120 s; see `ray status`"
    assert answers["broken"].startswith("ModuleNotFoundError: No module named 'torch'; install req")


def test_other_packages_are_named_with_both_versions_and_equal_ones_mean_other_code() -> None:
    ours = {"python": "3.11.4", "torch": "2.11.0", "numpy": "2.4.6"}
    found = probe._other_code(ours, ours | {"torch": "2.12.0"})
    assert found == "its packages differ (torch 2.12.0 there, 2.11.0 here); install requirements.txt there"
    assert probe._other_code(ours, ours).startswith("it imports other code, from /")
