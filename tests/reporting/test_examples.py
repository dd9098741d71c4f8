import numpy as np

from ecg_temporal.reporting.examples import choose_examples, predicted_of_each
from made_up import CLASSES


def test_examples_are_the_surest_of_their_kind():
    labels = np.array([[0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 1], [0, 0, 0]], np.uint8)
    decisions = np.array([[0, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 1, 1], [1, 0, 0]], bool)
    probabilities = np.where(decisions, [[0.9], [0.6], [0.8], [0.7], [0.95], [0.99]], 0.1)
    found = choose_examples(labels, decisions, probabilities, CLASSES)
    assert [(e.row, e.right) for e in found] == [(2, True), (4, False)]  # NORM alone is no example
    assert [(e.about, e.probability) for e in found] == [("AMI", 0.8), ("AMI", 0.95)]
    assert found[1].truth == ["NORM", "PMI"] and found[1].predicted == ["AMI", "NORM", "PMI"]
    said = predicted_of_each(labels, decisions)
    np.testing.assert_allclose(said[1], [0.5, 1, 0.5])
    assert np.isnan(predicted_of_each(labels * 0, decisions)).all()
    labels = np.array([[0, 1, 0]] * 3, np.uint8)
    decisions = np.array([[1, 1, 1], [1, 0, 1], [1, 0, 0]], bool)
    probabilities = np.array([[0.6, 0.9, 0.99], [0.7, 0.1, 0.98], [0.9, 0.1, 0.2]])
    wrong = choose_examples(labels, decisions, probabilities, CLASSES)
    assert [(e.row, e.about) for e in wrong] == [(0, "PMI"), (2, "AMI")]  # each about another
