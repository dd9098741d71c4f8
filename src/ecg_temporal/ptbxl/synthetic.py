"""The embedded stand-in: synthetic ECGs in PTB-XL's form, so that everything runs without a download.

A heart's electrical dipole moves through the waves of each beat (McSharry et al., A dynamical model for
generating synthetic electrocardiogram signals, IEEE TBME 50(3), 2003, in three dimensions) and is projected
on the twelve leads. Each subclass changes what it changes in medicine. A model that scores well here shows
that the code works, and nothing about ECGs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_temporal.ptbxl import raw
from ecg_temporal.ptbxl.settings import SAMPLING_RATE, SyntheticSettings
from ecg_temporal.ptbxl.waveforms import LEADS, SAMPLES

Array = NDArray[np.float32]

# statement, description, diagnostic class, subclass; the last two rows are rhythm statements
_STATEMENTS = """\
NORM,normal ECG,NORM,NORM
IMI,inferior myocardial infarction,MI,IMI
ASMI,anteroseptal myocardial infarction,MI,AMI
LMI,lateral myocardial infarction,MI,LMI
PMI,posterior myocardial infarction,MI,PMI
NDT,non-diagnostic T abnormalities,STTC,STTC
NST_,non-specific ST changes,STTC,NST_
ISC_,non-specific ischemic,STTC,ISC_
ISCAL,ischemic in anterolateral leads,STTC,ISCA
ISCIN,ischemic in inferior leads,STTC,ISCI
LVH,left ventricular hypertrophy,HYP,LVH
RVH,right ventricular hypertrophy,HYP,RVH
SEHYP,septal hypertrophy,HYP,SEHYP
LAO/LAE,left atrial overload/enlargement,HYP,LAO/LAE
RAO/RAE,right atrial overload/enlargement,HYP,RAO/RAE
LAFB,left anterior fascicular block,CD,LAFB/LPFB
LPFB,left posterior fascicular block,CD,LAFB/LPFB
CLBBB,complete left bundle branch block,CD,CLBBB
ILBBB,incomplete left bundle branch block,CD,ILBBB
CRBBB,complete right bundle branch block,CD,CRBBB
IRBBB,incomplete right bundle branch block,CD,IRBBB
IVCD,non-specific intraventricular conduction disturbance,CD,IVCD
WPW,Wolff-Parkinson-White syndrome,CD,WPW
1AVB,first degree AV block,CD,_AVB
2AVB,second degree AV block,CD,_AVB
SR,sinus rhythm,,
AFIB,atrial fibrillation,,
"""

# How often each statement is drawn for a record that is not normal: PTB-XL's imbalance, its tail lifted so
# that every subclass is in every fold of a thousand records.
_FREQUENCY = {
    "IMI": 0.23, "ASMI": 0.21, "NDT": 0.16, "LVH": 0.15, "LAFB": 0.10, "LPFB": 0.03, "ISC_": 0.09,
    "IRBBB": 0.09, "ISCAL": 0.08, "1AVB": 0.05, "2AVB": 0.03, "IVCD": 0.07, "NST_": 0.07, "CRBBB": 0.06,
    "CLBBB": 0.06, "LAO/LAE": 0.06, "ISCIN": 0.05, "LMI": 0.045, "RVH": 0.04, "RAO/RAE": 0.04, "WPW": 0.04,
    "ILBBB": 0.04, "SEHYP": 0.035, "PMI": 0.035,
}  # fmt: skip
_NORMAL = 0.42
_TOGETHER = {"LVH": ("ISC_", "LAO/LAE"), "RVH": ("RAO/RAE",), "IMI": ("ISCIN",), "CRBBB": ("LAFB",)}
_EXCLUSIVE = (
    ("CLBBB", "CRBBB", "IRBBB", "ILBBB", "IVCD", "WPW"),
    ("LAFB", "LPFB"),
    ("WPW", "1AVB", "2AVB"),
    ("NDT", "NST_", "ISC_", "ISCAL"),
    ("CLBBB", "SEHYP"),
)

# Directions of the leads in the body: x to the left, y down, z to the front.
_I, _II = np.array([1.0, 0.0, 0.0]), np.array([0.5, 0.87, 0.0])
_LIMB = [_I, _II, _II - _I, -(_I + _II) / 2, _I - _II / 2, _II - _I / 2]
_CHEST = [
    [-0.4, 0.1, 0.9],
    [0.1, 0.1, 1.3],
    [0.6, 0.2, 1.1],
    [1.0, 0.3, 0.6],
    [0.95, 0.2, 0.1],
    [0.9, 0.15, -0.25],
]
_DIRECTIONS = np.array([*_LIMB, *_CHEST], np.float32)


@dataclass
class Wave:
    """One wave of a beat: seconds after the R peak, width in seconds [records], dipole in mV [records, 3]."""

    time: Array
    width: Array
    dipole: Array


@dataclass
class Hearts:
    """The beats of many records: what the statements act on."""

    waves: dict[str, Wave]
    pr: Array
    wenckebach: NDArray[np.bool_]
    rng: np.random.Generator = field(repr=False)


def _turn(name: str, *, add: tuple[float, float, float] = (0, 0, 0), by: float = 1.0) -> "Effect":
    """Multiply the dipole of a wave, then add to it."""

    def effect(hearts: Hearts, rows: NDArray[np.intp], strength: Array) -> None:
        wave = hearts.waves[name]
        change = (by - 1) * wave.dipole[rows] + np.asarray(add, np.float32)
        wave.dipole[rows] += strength[:, None] * change

    return effect


def _widen(name: str, by: float) -> "Effect":
    def effect(hearts: Hearts, rows: NDArray[np.intp], strength: Array) -> None:
        hearts.waves[name].width[rows] *= 1 + strength * (by - 1)

    return effect


def _delay(name: str, seconds: float) -> "Effect":
    def effect(hearts: Hearts, rows: NDArray[np.intp], strength: Array) -> None:
        hearts.waves[name].time[rows] += strength * seconds

    return effect


def _pr(seconds: float) -> "Effect":
    def effect(hearts: Hearts, rows: NDArray[np.intp], strength: Array) -> None:
        hearts.pr[rows] = seconds + hearts.rng.normal(0, 0.015, len(rows))

    return effect


def _drop_beats(hearts: Hearts, rows: NDArray[np.intp], strength: Array) -> None:
    hearts.wenckebach[rows] = True


Effect = Callable[[Hearts, NDArray[np.intp], Array], None]

_EFFECTS: dict[str, tuple[Effect, ...]] = {
    "IMI": (_turn("Q", add=(0, -0.40, 0)), _widen("Q", 1.5), _turn("T", add=(0, -0.25, 0))),
    "ASMI": (_turn("Q", add=(0, 0, -0.50)), _turn("R", add=(0, 0, -0.35)), _turn("T", add=(0, 0, -0.25))),
    "LMI": (_turn("Q", add=(-0.40, 0, 0)), _widen("Q", 1.5), _turn("R", add=(-0.30, 0, 0))),
    "PMI": (_turn("R", add=(0, 0, 0.75)), _turn("T", add=(0, 0, 0.30))),
    "NDT": (_turn("T", by=0.1),),
    "NST_": (_turn("ST", add=(-0.05, -0.05, 0)), _turn("T", by=0.6)),
    "ISC_": (_turn("ST", add=(-0.14, -0.10, -0.03)), _turn("T", by=-0.4)),
    "ISCAL": (_turn("ST", add=(-0.05, 0, -0.12)), _turn("T", add=(-0.25, 0, -0.30))),
    "ISCIN": (_turn("ST", add=(0, -0.14, 0)), _turn("T", add=(0, -0.45, 0))),
    "LVH": (_turn("R", by=1.9), _turn("S", add=(0, 0, -0.40)), _turn("T", add=(-0.15, 0, 0))),
    "RVH": (_turn("R", add=(-0.70, 0, 0.75)), _turn("S", add=(-0.40, 0, 0))),
    "SEHYP": (_turn("Q", by=4.0),),
    "LAO/LAE": (_delay("P left", 0.045), _turn("P left", add=(0.06, 0.03, -0.10))),
    "RAO/RAE": (_turn("P right", add=(0.02, 0.20, 0.08)),),
    "LAFB": (_turn("R", add=(0, -1.20, 0)), _turn("Q", add=(0, 0.15, 0))),
    "LPFB": (_turn("R", add=(-0.90, 0.40, 0)), _turn("Q", add=(0.12, -0.10, 0))),
    "CLBBB": (
        _turn("Q", by=-0.6), _widen("R", 1.9), _turn("late", add=(0.55, 0.10, -0.55)),
        _widen("late", 1.3), _turn("T", add=(-0.45, -0.10, 0.25)),
    ),
    "ILBBB": (_turn("Q", by=-0.4), _widen("R", 1.4), _turn("late", add=(0.22, 0, -0.22))),
    "CRBBB": (_turn("late", add=(-0.45, 0, 0.70)), _widen("late", 1.2), _turn("T", add=(0, 0, -0.20))),
    "IRBBB": (_turn("late", add=(-0.15, 0, 0.35)), _widen("late", 0.7), _delay("late", -0.015)),
    "IVCD": (_widen("R", 1.5), _widen("S", 1.9), _turn("S", add=(0.10, -0.20, 0.10))),
    "WPW": (_pr(0.09), _turn("delta", add=(0.30, 0.20, 0.20))),
    "1AVB": (_pr(0.29),),
    "2AVB": (_drop_beats,),
}  # fmt: skip


def write(folder: Path, settings: SyntheticSettings) -> None:
    """Write the stand-in as a raw dataset into the existing `folder`."""
    signals, table = generate(settings)
    out = raw.create_signals(folder, len(signals))
    out[...] = signals
    sources = {"all files": "ecg_temporal.ptbxl.synthetic"}
    origin = raw.Origin("synthetic stand-in for PTB-XL", f"seed {settings.seed}", sources, synthetic=True)
    raw.write_raw(folder, out, table, statements(), origin, {}, {})


def statements() -> pd.DataFrame:
    """Return a table in the form of scp_statements.csv."""
    rows = [line.split(",") for line in _STATEMENTS.splitlines()]
    table = pd.DataFrame(rows, columns=["", "description", "diagnostic_class", "diagnostic_subclass"])
    table = table.set_index("").replace("", None)
    table.insert(1, "diagnostic", table["diagnostic_class"].notna().map({True: 1.0, False: np.nan}))
    return table


def generate(settings: SyntheticSettings) -> tuple[NDArray[np.int16], pd.DataFrame]:
    """Return signals, int16 [records, 12, 1000] in microvolts, and a table as ptbxl_database.csv."""
    rng = np.random.default_rng(settings.seed)
    n = settings.records
    present = _draw_statements(n, rng)
    fibrillating = (rng.random(n) < 0.05) & ~present["1AVB"] & ~present["2AVB"] & ~present["NORM"]
    signals = np.empty((n, len(LEADS), SAMPLES), np.int16)
    for start in range(0, n, 256):
        rows = slice(start, min(start + 256, n))
        block = {code: member[rows] for code, member in present.items()}
        signals[rows] = _signals(block, fibrillating[rows], rng)
    return signals, _table(present, fibrillating, rng)


def _draw_statements(n: int, rng: np.random.Generator) -> dict[str, NDArray[np.bool_]]:
    normal = rng.random(n) < _NORMAL
    present = {code: (rng.random(n) < p) & ~normal for code, p in _FREQUENCY.items()}
    for code, others in _TOGETHER.items():
        for other in others:
            present[other] |= present[code] & (rng.random(n) < 0.3)
    empty = ~normal & ~np.any(list(present.values()), axis=0)
    weights = np.array(list(_FREQUENCY.values()))
    choice = rng.choice(len(weights), n, p=weights / weights.sum())
    for k, code in enumerate(_FREQUENCY):
        present[code] |= empty & (choice == k)
    for group in _EXCLUSIVE:
        # Of those that exclude each other the rarest stays, so that the tail does not die out.
        for k, code in enumerate(sorted(group, key=_FREQUENCY.__getitem__)):
            for commoner in sorted(group, key=_FREQUENCY.__getitem__)[k + 1 :]:
                present[commoner] &= ~present[code]
    return {"NORM": normal, **present}


def _signals(
    present: dict[str, NDArray[np.bool_]], fibrillating: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.int16]:
    n = len(fibrillating)
    hearts = _healthy(n, rng)
    for code, effects in _EFFECTS.items():
        rows = np.flatnonzero(present[code])
        strength = rng.uniform(0.7, 1.3, len(rows)).astype(np.float32)
        for effect in effects:
            effect(hearts, rows, strength)
    for name in ("P right", "P left"):
        hearts.waves[name].dipole[fibrillating] = 0

    dipole = _beats(hearts, fibrillating, rng)
    directions = _DIRECTIONS * rng.normal(1, 0.08, (n, len(LEADS), 1)).astype(np.float32)
    directions[:, 2:6] = np.stack(  # the limb leads obey Einthoven and Goldberger in every body
        [
            directions[:, 1] - directions[:, 0],
            -(directions[:, 0] + directions[:, 1]) / 2,
            directions[:, 0] - directions[:, 1] / 2,
            directions[:, 1] - directions[:, 0] / 2,
        ],
        axis=1,
    )
    millivolts = directions @ dipole
    seconds = np.arange(SAMPLES, dtype=np.float32) / SAMPLING_RATE
    for _ in range(2):
        hertz, phase = rng.uniform(0.08, 0.45, (n, 1, 1)), rng.uniform(0, 2 * np.pi, (n, len(LEADS), 1))
        size = rng.gamma(2.0, 0.02, (n, len(LEADS), 1))
        millivolts += size * np.sin(2 * np.pi * hertz * seconds + phase)
    noise = rng.gamma(3.0, 0.006, (n, 1, 1)).astype(np.float32)
    millivolts += noise * rng.standard_normal(millivolts.shape, dtype=np.float32)
    microvolts: NDArray[np.int16] = np.rint(np.clip(millivolts * 1000, -32000, 32000)).astype(np.int16)
    return microvolts


def _healthy(n: int, rng: np.random.Generator) -> Hearts:
    """Return `n` normal hearts that differ in axis, size and timing."""

    def wave(time: float, width: float, dipole: tuple[float, float, float]) -> Wave:
        spread = rng.normal(1, 0.12, (n, 3)) * rng.lognormal(0, 0.12, (n, 1))
        return Wave(
            (time + rng.normal(0, abs(time) * 0.03, n)).astype(np.float32),
            (width * rng.lognormal(0, 0.06, n)).astype(np.float32),
            (np.asarray(dipole) * spread).astype(np.float32),
        )

    waves = {
        "P right": wave(0.0, 0.018, (0.04, 0.09, 0.06)),  # P's times count from the start of the PR interval
        "P left": wave(0.03, 0.020, (0.06, 0.05, -0.03)),
        "delta": wave(-0.045, 0.018, (0.0, 0.0, 0.0)),
        "Q": wave(-0.028, 0.010, (-0.10, -0.04, 0.12)),
        "R": wave(0.0, 0.013, (0.85, 0.75, -0.35)),
        "S": wave(0.030, 0.011, (-0.20, -0.15, -0.30)),
        "late": wave(0.062, 0.018, (0.0, 0.0, 0.0)),
        "ST": wave(0.140, 0.040, (0.0, 0.0, 0.0)),
        "T": wave(0.270, 0.048, (0.24, 0.20, 0.10)),
    }
    return Hearts(waves, rng.normal(0.15, 0.015, n).astype(np.float32), np.zeros(n, bool), rng)


def _beats(hearts: Hearts, fibrillating: NDArray[np.bool_], rng: np.random.Generator) -> Array:
    """Return the dipole over ten seconds, [records, 3, samples] in mV."""
    n, count = len(fibrillating), 24
    rr = np.clip(rng.normal(0.85, 0.14, (n, 1)), 0.52, 1.4)
    irregular = np.where(fibrillating, 0.22, 0.03)[:, None]
    intervals = np.maximum(rr * (1 + irregular * rng.standard_normal((n, count))), 0.4)
    r_times = (np.cumsum(intervals, axis=1) - rng.uniform(0.5, 1.5, (n, 1)) * rr).astype(np.float32)
    # Wenckebach: PR grows over three beats, then a P wave without a QRS, and again.
    position = (np.arange(count) + rng.integers(0, 4, (n, 1))) % 4
    pr = hearts.pr[:, None] + np.where(hearts.wenckebach[:, None], 0.07 * position, 0).astype(np.float32)
    conducted = ~(hearts.wenckebach[:, None] & (position == 3))

    seconds = np.arange(SAMPLES, dtype=np.float32) / SAMPLING_RATE
    dipole = np.zeros((n, 3, SAMPLES), np.float32)
    for name, wave in hearts.waves.items():
        centre = r_times + wave.time[:, None]
        if name.startswith("P"):
            centre, gate = centre - pr, np.ones_like(conducted)
        else:
            gate = conducted
        shape = np.zeros((n, SAMPLES), np.float32)
        for beat in range(count):
            z = (seconds - centre[:, beat, None]) / wave.width[:, None]
            shape += gate[:, beat, None] * np.exp(-0.5 * z * z)
        dipole += wave.dipole[:, :, None] * shape[:, None, :]
    return dipole


def _table(
    present: dict[str, NDArray[np.bool_]], fibrillating: NDArray[np.bool_], rng: np.random.Generator
) -> pd.DataFrame:
    n = len(fibrillating)
    codes = list(present)
    members = np.stack([present[code] for code in codes], axis=1)
    texts = []
    for row, af in zip(members, fibrillating, strict=True):
        of_record = {code: 100.0 for code, here in zip(codes, row, strict=True) if here}
        texts.append(str({**of_record, "AFIB" if af else "SR": 0.0}))
    # Records in the order of their rarest statement are dealt to the folds like cards: each gets its share.
    rarest = np.where(members, members.sum(axis=0), n + 1).argmin(axis=1)
    order = np.lexsort((rng.random(n), rarest))
    fold = np.empty(n, int)
    fold[order] = np.arange(n) % 10 + 1
    patient = np.arange(n) + 1
    for k in range(1, 11):  # one patient in ten came twice
        of_fold = np.flatnonzero(fold == k)
        pairs = of_fold[: len(of_fold) // 10 * 2].reshape(-1, 2)
        patient[pairs[:, 1]] = patient[pairs[:, 0]]
    ecg_id = pd.RangeIndex(1, n + 1, name="ecg_id")
    return pd.DataFrame(
        {
            "patient_id": patient.astype(float),
            "age": np.clip(rng.normal(62, 15, n), 18, 89).round(),
            "sex": rng.integers(0, 2, n),
            "scp_codes": texts,
            "strat_fold": fold,
            "filename_lr": [f"synthetic/{k:05d}" for k in ecg_id],
        },
        index=ecg_id,
    )
