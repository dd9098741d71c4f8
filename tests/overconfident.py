import numpy as np
from scipy.special import expit


def overconfident(seed, records=400, classes=5, slope=2.0, shift=-1.0):
    """Logits that are overconfident and shifted: the truth has the logit (logits - shift) / slope."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-1.5, 2, (records, classes))
    labels = (rng.random((records, classes)) < expit(true)).astype(np.uint8)
    return labels, (slope * true + shift).astype(np.float32)
