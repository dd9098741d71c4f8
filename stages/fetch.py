"""Get the records of the dataset that params.yaml names, and pack them: data/raw."""

import os
import sys
from pathlib import Path

from ecg_temporal import files, workspace
from ecg_temporal.ptbxl import download, synthetic
from ecg_temporal.ptbxl.collect import collect
from ecg_temporal.ptbxl.own import collect_own
from ecg_temporal.ptbxl.settings import FetchSettings, SyntheticSettings, dataset_of
from ecg_temporal.settings import read_params, section

OUT = Path("data/raw")


def main() -> None:
    """Run the stage."""
    params = read_params()
    dataset = dataset_of(params)
    on_bad_record = section(params, "fetch", FetchSettings).on_bad_record
    with files.replacing_folder(OUT) as folder:
        if dataset == "synthetic":
            synthetic.write(folder, section(params, "synthetic", SyntheticSettings))
        elif dataset == "own":
            if not (own := os.environ.get("OWN_DIR")):
                raise ValueError("dataset is own: set OWN_DIR to a folder with WFDB records and labels.csv")
            try:
                collect_own(workspace.from_project(own), folder, on_bad_record)
            except ValueError as error:
                # Without -f, DVC would bring back what an earlier run made of the records.
                again = "Then `dvc exp run -s -f fetch -S dataset=own`, and your command again"
                raise ValueError(f"{error}\n{again}") from None
        elif local := os.environ.get("PTBXL_DIR"):
            collect(
                workspace.from_project(local),
                folder,
                {"all files": f"PTBXL_DIR, taken to be version {download.VERSION}"},
                on_bad_record,
            )
        else:
            tree = workspace.scratch("downloads") / f"ptb-xl-{download.VERSION}"
            collect(tree, folder, download.download(tree), on_bad_record)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"fetch: {error}")
