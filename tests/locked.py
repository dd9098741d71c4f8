"""A dvc.lock for models and rules that no DVC stage made."""

import yaml

from ecg_temporal.lock import file_md5, folder_md5


def lock_as_it_lies(folder, name, dataset):
    """Write dvc.lock as if the stages had written what lies in models/ and decisions/."""
    models = folder / "models" / name
    files = {f"{p.relative_to(models).as_posix()}": file_md5(p) for p in models.rglob("*") if p.is_file()}
    weights = [{"path": f"models/{name}", "md5": folder_md5(files)}]
    logits = [{"path": f"predictions/{name}.npz", "md5": "0" * 32}]
    rules = [{"path": f"decisions/{name}.json", "md5": file_md5(folder / "decisions" / f"{name}.json")}]
    params = {"params.yaml": {"dataset": dataset}}
    stages = {
        f"train@{name}-0": {"cmd": "train", "deps": [], "params": params, "outs": []},
        f"predict@{name}": {"cmd": "predict", "deps": weights, "outs": [*map(dict, logits)]},
        f"evaluate@{name}": {"cmd": "evaluate", "deps": logits, "outs": rules},
    }
    if (figures := folder / "metrics" / f"{name}.json").is_file():
        rules.append({"path": f"metrics/{name}.json", "md5": file_md5(figures)})
    (folder / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False))
