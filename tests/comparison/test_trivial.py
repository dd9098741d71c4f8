import numpy as np
import pytest

from ecg_temporal.comparison.trivial import trivial_lines


def test_trivial_lines(rng):
    labels = np.zeros((10, 2), np.uint8)
    labels[:4, 1] = 1
    labels[0, 0] = 1
    lines = trivial_lines(["AMI", "NORM"], labels, labels)
    assert lines["nothing"]["hamming_loss"] == pytest.approx(5 / 20)
    assert lines["nothing"]["macro_auprc"] == pytest.approx((0.1 + 0.4) / 2)
    assert lines["nothing"]["macro_auroc"] == 0.5
    assert lines["always NORM"]["subset_accuracy"] == pytest.approx(3 / 10)


def test_the_class_that_is_always_said_is_the_commonest_of_the_training_folds():
    test, train = (np.repeat(np.eye(2, dtype=np.uint8), counts, axis=0) for counts in ([5, 4], [1, 2]))
    assert set(trivial_lines(["A", "B"], test, train)) == {"nothing", "always B"}
