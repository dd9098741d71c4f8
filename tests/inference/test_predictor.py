from dataclasses import replace
from shutil import copytree

import numpy as np
import pytest
import torch
from scipy.special import expit

from defaults import FP32
from ecg_temporal.comparison.verdict import Verdict, write_verdict
from ecg_temporal.evaluation.decisions import read_rules, write_rules
from ecg_temporal.inference.predictor import Predictor, load_predictor, winners
from ecg_temporal.inference.records import find_records, read_ecg
from ecg_temporal.ptbxl.waveforms import LEADS, RecordError
from ecg_temporal.training.batches import pieces
from records import write, write_mat


def test_any_rate_gain_unit_order_and_format_gives_the_same_probabilities(trained, splits):
    signals = splits["test"].signals[0]
    folder = trained / "records"
    write(folder, "plain", signals)
    write(folder, "other", signals, 500, 200.0, LEADS[::-1])
    write(folder, "micro", signals, 250, 1.0, (*LEADS[6:], *LEADS[:6]), "uV")
    write_mat(folder, "A0001", signals)
    paths = find_records([folder])
    assert [path.name for path in paths] == ["A0001", "micro", "other", "plain"]
    records = [read_ecg(path) for path in paths]
    assert [ecg.signals.shape for ecg in records] == [(12, 1000)] * 4
    assert records[0].codes == ["426783006", "164889003"] and records[3].codes == []
    predictor = load_predictor("cnn_gru", "half", FP32)
    p, decisions = predictor.predict(ecg.signals for ecg in records)
    np.testing.assert_allclose(p[:3], p[[3, 3, 3]], atol=0.02)
    assert decisions.shape == p.shape == (4, 23)


def test_of_long_records_few_are_held_at_once(trained, splits, monkeypatch):
    signals = [np.tile(splits["test"].signals[0], n) for n in (3, 1, 1, 2, 1)]
    predictor = load_predictor("cnn_gru", "half", FP32)
    expected, _ = predictor.predict(signals)
    monkeypatch.setattr("ecg_temporal.inference.predictor.BATCH_SAMPLES", 3000)
    held, logits = [], Predictor.logits

    def noted(self, batch):
        held.append(len(batch))
        return logits(self, batch)

    monkeypatch.setattr(Predictor, "logits", noted)
    found, _ = predictor.predict(iter(signals))
    assert held == [1, 3, 1]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_probabilities_are_the_calibrated_mean_over_pieces_and_seeds(trained, splits):
    signals = splits["test"].signals[:3]
    predictor = load_predictor("cnn_gru", "half", FP32)
    found, decisions = predictor.predict(signals)
    logits = []
    with torch.inference_mode():
        for model in predictor.models:
            logits += [model(piece) for piece in pieces(torch.from_numpy(signals.copy()), 500)]
    expected = expit(3.0 * np.mean([x.numpy() for x in logits], axis=0) + 0.2)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(decisions, found >= 0.5)


def test_a_seed_that_the_rules_were_not_learned_with_is_left_alone(trained, splits):
    before, _ = load_predictor("cnn_gru", "half", FP32).predict(splits["test"].signals[:2])
    (trained / "models" / "cnn_gru" / "1").rename(trained / "models" / "cnn_gru" / "2")
    with pytest.raises(ValueError, match="models/cnn_gru/1 is not a trained model"):
        load_predictor("cnn_gru", "half", FP32)
    copytree(trained / "models" / "cnn_gru" / "2", trained / "models" / "cnn_gru" / "1")
    after, _ = load_predictor("cnn_gru", "half", FP32).predict(splits["test"].signals[:2])
    np.testing.assert_array_equal(after, before)


def test_records_of_different_lengths_are_predicted_as_each_by_itself(trained, splits):
    signals = [splits["test"].signals[k][:, :n] for k, n in enumerate((1000, 150, 733, 5000, 150))]
    predictor = load_predictor("cnn_gru", "half", FP32)
    together, _ = predictor.predict(signals)
    alone = np.concatenate([predictor.predict([one])[0] for one in signals])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert predictor.predict([])[0].shape == (0, 23)


def test_a_record_without_any_signal_is_refused(trained):
    write(trained / "records", "flat", np.full((12, 1000), 7, np.int16))
    with pytest.raises(RecordError, match="records/flat: all twelve leads are constant"):
        read_ecg(trained / "records" / "flat")


def test_the_winner_is_the_least_that_is_enough(tmp_path):
    write_verdict(tmp_path / "verdict.json", Verdict("macro_auprc", "big", "small", 0.0, 0.0, 0.0))
    assert winners(tmp_path / "verdict.json") == {"winner": "small", "best": "big"}


def test_more_pieces_than_a_batch_holds_stay_their_records(trained, splits, monkeypatch):
    predictor = load_predictor("cnn_gru", "half", FP32)
    expected, _ = predictor.predict(splits["test"].signals[:9])  # 27 pieces at once
    monkeypatch.setattr("ecg_temporal.inference.predictor.BATCH_RECORDS", 4)
    np.testing.assert_allclose(predictor.predict(splits["test"].signals[:9])[0], expected, atol=1e-5)


def test_rules_of_no_seed_are_refused(trained):
    path = trained / "decisions" / "cnn_gru.json"
    write_rules(path, replace(read_rules(path), seeds=[]))
    with pytest.raises(ValueError, match=r"cnn_gru\.json names no seed; run `dvc repro`"):
        load_predictor("cnn_gru", "half", FP32)
