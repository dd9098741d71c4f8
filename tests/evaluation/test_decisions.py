import re

import numpy as np
import pytest
from scipy.special import expit

from ecg_temporal.evaluation.decisions import (
    EnsembleRules,
    read_rules,
    write_rules,
)
from ecg_temporal.evaluation.fitting import fit_platt, fit_rule
from ecg_temporal.evaluation.settings import RULES
from overconfident import overconfident


@pytest.mark.parametrize("name", RULES)
def test_likeliest_fills_the_empty_sets_alone(name):
    labels, logits = overconfident(3)
    decisions = fit_rule(name, labels, logits, labels).decide(logits)
    if not name.endswith("+likeliest"):
        assert not decisions.any(axis=1).all()
        return
    plain = fit_rule(name.removesuffix("+likeliest"), labels, logits, labels).decide(logits)
    empty = ~plain.any(axis=1)
    np.testing.assert_array_equal(decisions[~empty], plain[~empty])
    p = fit_rule(name, labels, logits, labels).probabilities(logits)
    np.testing.assert_array_equal(decisions[empty].argmax(axis=1), p[empty].argmax(axis=1))
    assert (decisions.sum(axis=1) >= 1).all()


def test_rules_survive_the_disk_and_none_may_be_missing(tmp_path):
    labels, logits = overconfident(5)
    rules = {name: fit_rule(name, labels, logits, labels) for name in RULES}
    write_rules(tmp_path / "cnn.json", EnsembleRules([0, 3], ["a", "b"], rules))
    back = read_rules(tmp_path / "cnn.json")
    assert back.seeds == [0, 3] and back.classes == ["a", "b"]
    for name, rule in rules.items():
        np.testing.assert_array_equal(back.rules[name].decide(logits), rule.decide(logits))
        np.testing.assert_array_equal(back.rules[name].probabilities(logits), rule.probabilities(logits))
        fewer = {other: each for other, each in rules.items() if other != name}
        write_rules(tmp_path / "cnn.json", EnsembleRules([0], ["a", "b"], fewer))
        with pytest.raises(
            ValueError, match=f"cnn.json is not a file of decision rules .it lacks '{re.escape(name)}'"
        ):
            read_rules(tmp_path / "cnn.json")


@pytest.mark.parametrize("name", RULES)
def test_probabilities_are_calibrated_but_under_half(name):
    labels, logits = overconfident(7)
    half = name.startswith("half")
    expected = expit(logits.astype(float)) if half else fit_platt(labels, logits).probabilities(logits)
    np.testing.assert_allclose(fit_rule(name, labels, logits, labels).probabilities(logits), expected)


def test_the_fields_of_a_set_rule_decide_as_the_onnx_file_says():
    labels, logits = overconfident(8)
    rule = fit_rule("powerset", labels, logits, labels)
    fields = rule.fields()
    sets = np.array([[int(said) for said in one] for one in fields["sets"]])
    found = sets[(logits.astype(float) @ sets.T + fields["bonus"]).argmax(axis=1)]
    np.testing.assert_array_equal(found, rule.decide(logits))
