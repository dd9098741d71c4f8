import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from ecg_temporal.training.loss import positive_weight, weighted_cross_entropy


def test_a_positive_weighs_its_share_to_the_power_of_minus_power():
    targets = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]]).float()
    torch.testing.assert_close(positive_weight(targets, 0.5), torch.tensor([1.0, 2.0, 2.0]))
    assert positive_weight(targets, 0.0).tolist() == [1, 1, 1]


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_it_is_the_weighted_log_loss_of_raised_logits(rng, weight):
    logits, targets = rng.normal(size=50), rng.integers(0, 2, 50)
    ours = weighted_cross_entropy(
        torch.tensor(logits)[:, None], torch.tensor(targets)[:, None].double(), torch.tensor([weight])
    )
    raised = 1 / (1 + np.exp(-(logits + np.log(weight))))
    sample_weight = np.where(targets, weight, 1)
    expected = log_loss(targets, raised, sample_weight=sample_weight) * sample_weight.mean()
    assert float(ours.mean()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weight", [1.0, 0.5, 7.0])
def test_it_is_least_at_the_true_probability_whatever_the_weight(weight):
    targets = torch.zeros(40, 1)
    targets[:3] = 1
    logit = torch.logit(targets.mean(dim=0)).requires_grad_()
    weighted_cross_entropy(logit.expand(40, 1), targets, torch.tensor([weight])).mean().backward()
    assert float(logit.grad) == pytest.approx(0, abs=1e-6)
    other = (logit.detach() + 0.3).requires_grad_()
    weighted_cross_entropy(other.expand(40, 1), targets, torch.tensor([weight])).mean().backward()
    assert float(other.grad) > 1e-3
