import numpy as np
import scipy.io
import wfdb
from scipy.signal import resample_poly

from ecg_temporal.ptbxl.waveforms import LEADS

PRINTED = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
CODES = "# Age: 50\n# Dx: 426783006,164889003\n"


def write(folder, name, signals, rate=100, gain=1000.0, order=LEADS, unit="mV", fmt="16"):
    """Write int16 microvolts [12, samples] as a record of these properties."""
    millivolts = np.array([signals[LEADS.index(lead)] for lead in order]).T / 1000
    if rate != 100:
        millivolts = resample_poly(millivolts, rate, 100, axis=0, padtype="line")
    physical = millivolts * {"mV": 1, "uV": 1000}[unit]
    folder.mkdir(exist_ok=True)
    adc = {"adc_gain": [gain] * 12, "baseline": [0] * 12}
    wfdb.wrsamp(name, rate, [unit] * 12, list(order), physical, fmt=[fmt] * 12, write_dir=str(folder), **adc)


def write_mat(folder, name, signals, first="{name} 12 500 {samples}", form="16+24 1000/mV", tail=CODES):
    """Write a record as the PhysioNet/CinC Challenge does: MATLAB version 4, at 500 Hz, with codes."""
    samples = np.rint(resample_poly(signals.astype(float), 5, 1, axis=1, padtype="line")).astype(np.int16)
    folder.mkdir(exist_ok=True)
    scipy.io.savemat(folder / f"{name}.mat", {"val": samples}, format="4")
    leads = "".join(
        f"{name}.mat {form} 16 0 {row[0]} {int(row.sum(dtype=np.int16))} 0 {lead}\n"
        for row, lead in zip(samples, PRINTED, strict=True)
    )
    record_line = first.format(name=name, samples=samples.shape[1])
    (folder / f"{name}.hea").write_text(f"{record_line}\n{leads}{tail}")


UNKNOWN = "# Rx: Unknown\n# Hx: Unknown\n# Sx: Unknown\n"
