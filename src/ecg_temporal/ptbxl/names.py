"""Full names of the 23 diagnostic subclasses, after the descriptions in PTB-XL's scp_statements.csv."""

from collections.abc import Collection

NAMES = {
    "NORM": "normal ECG",
    "AMI": "anterior myocardial infarction",
    "IMI": "inferior myocardial infarction",
    "LMI": "lateral myocardial infarction",
    "PMI": "posterior myocardial infarction",
    "ISCA": "ischemic changes in anterior leads",
    "ISCI": "ischemic changes in inferior leads",
    "ISC_": "non-specific ischemic changes",
    "NST_": "non-specific ST changes",
    "STTC": "ST-T changes",
    "LVH": "left ventricular hypertrophy",
    "RVH": "right ventricular hypertrophy",
    "SEHYP": "septal hypertrophy",
    "LAO/LAE": "left atrial overload or enlargement",
    "RAO/RAE": "right atrial overload or enlargement",
    "LAFB/LPFB": "left anterior or posterior fascicular block",
    "CLBBB": "complete left bundle branch block",
    "CRBBB": "complete right bundle branch block",
    "ILBBB": "incomplete left bundle branch block",
    "IRBBB": "incomplete right bundle branch block",
    "IVCD": "non-specific intraventricular conduction disturbance",
    "WPW": "Wolff-Parkinson-White syndrome",
    "_AVB": "atrioventricular block",
}


def full_names(classes: Collection[str]) -> dict[str, str]:
    """Return the full name of each class, or none: labels that are not all PTB-XL's may mean other things."""
    return {name: NAMES[name] for name in classes} if set(classes) <= NAMES.keys() else {}
