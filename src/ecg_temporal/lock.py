"""dvc.lock: what each stage ran with, and what it wrote."""

import hashlib
import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from ecg_temporal.models.settings import CANDIDATE
from ecg_temporal.settings import CoreLoader

_Fast: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Fast):  # type: ignore[misc]
    """Takes numbers for what settings.py's loader does, but in C: dvc.lock has thousands of lines."""


_Loader.yaml_implicit_resolvers = CoreLoader.yaml_implicit_resolvers

Stages = dict[str, dict[str, Any]]


def read_stages(lock: Path) -> Stages:
    """Return what a dvc.lock has of each stage, by name.

    Raises:
        ValueError: there is no such file, it has no stages, or it is cut off, as DVC writes it in place.

    """
    try:
        found = yaml.load(lock.read_bytes(), Loader=_Loader) if lock.is_file() else None  # a SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{lock.name} is damaged ({error}); `git checkout {lock.name}`") from None
    if not isinstance(found, dict) or "stages" not in found:
        raise ValueError(f"{lock.name} has no stages: nothing was run; `dvc repro`")
    try:
        for stage in found["stages"].values():
            inputs(stage), outputs(stage), parameters(stage)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError(f"{lock.name} is cut off: `git checkout {lock.name}`, or `dvc repro`") from None
    return dict(found["stages"])


def stage_name(kind: str, architecture: str, seed: Hashable | None = None) -> str:
    """Return how dvc.yaml calls a stage of an architecture: train (of a seed), predict, probe or evaluate."""
    if architecture == CANDIDATE:
        return f"{kind}_model@{CANDIDATE if seed is None else seed}"
    return f"{kind}@{architecture}" if seed is None else f"{kind}@{architecture}-{seed}"


def inputs(stage: dict[str, Any]) -> dict[str, str]:
    """Return the MD5 of each dependency of a stage, by path."""
    return {dep["path"]: dep["md5"] for dep in stage.get("deps", [])}


def outputs(stage: dict[str, Any]) -> dict[str, str]:
    """Return the MD5 of each output of a stage, by path."""
    return {out["path"]: out["md5"] for out in stage.get("outs", [])}


def parameters(stage: dict[str, Any]) -> dict[str, Any]:
    """Return what a stage ran with of params.yaml, by dotted key."""
    return dict(stage.get("params", {}).get("params.yaml", {}))


def file_md5(path: Path) -> str:
    """Return the MD5 of a file, as DVC has it."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def folder_md5(files: dict[str, str]) -> str:
    """Return the MD5 of a folder, as DVC has it, from those of its files by their path in it."""
    listed = [{"md5": md5, "relpath": path} for path, md5 in sorted(files.items())]
    return f"{hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest()}.dir"
