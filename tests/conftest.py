import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from closure import ROOT
from ecg_temporal.ptbxl import synthetic
from ecg_temporal.ptbxl.preprocess import preprocess
from ecg_temporal.ptbxl.raw import read_raw
from ecg_temporal.ptbxl.settings import LabelSettings, SyntheticSettings

# Machines that also train can be slow for a moment; that is no failure.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

KEEP_ALL = LabelSettings(min_likelihood=0, unlabelled="keep")


@pytest.fixture(scope="session")
def ptbxl_tree(tmp_path_factory):
    """The real PTB-XL, or its first 300 ids: a tree as PhysioNet lays it out."""
    if tree := os.environ.get("PTBXL_DIR"):
        return Path(tree).expanduser()
    packed = ROOT.parent / "shared" / "ptb-xl" / "unpack.py"
    if not packed.is_file():
        pytest.skip("NO REAL PTB-XL: set PTBXL_DIR to a folder with it to run this test")
    tree = tmp_path_factory.mktemp("ptb-xl")
    subprocess.run([sys.executable, packed, tree, "--max-id", "300"], check=True, capture_output=True)
    return tree


@pytest.fixture(scope="session")
def full_tables():
    """Folder with the complete ptbxl_database.csv and scp_statements.csv of the real PTB-XL."""
    if tree := os.environ.get("PTBXL_DIR"):
        return Path(tree).expanduser()
    packed = ROOT.parent / "shared" / "ptb-xl"
    if not (packed / "ptbxl_database.csv.xz").is_file():
        pytest.skip("NO REAL PTB-XL: set PTBXL_DIR to a folder with it to run this test")
    return packed


@pytest.fixture(scope="session")
def synthetic_raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    synthetic.write(folder, SyntheticSettings(records=400, seed=1))
    return read_raw(folder)


@pytest.fixture(scope="session")
def splits(synthetic_raw):
    return preprocess(synthetic_raw, KEEP_ALL)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
