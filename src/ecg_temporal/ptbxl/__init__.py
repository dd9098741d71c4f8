"""The dataset PTB-XL: download, WFDB waveforms, labels, and a synthetic stand-in of the same form.

Wagner et al., PTB-XL, a large publicly available electrocardiography dataset (doi 10.13026/kfzx-aw45).
"""
