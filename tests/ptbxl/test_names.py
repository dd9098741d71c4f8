from ecg_temporal.ptbxl.names import NAMES, full_names


def test_every_class_has_a_name_and_other_peoples_labels_have_none(splits):
    assert full_names(splits["test"].description.classes) == NAMES
    assert full_names(["NORM", "IMI"]) == {"NORM": "normal ECG", "IMI": "inferior myocardial infarction"}
    assert full_names(["AMI", "sepsis"]) == {}
