"""MLflow's servers on loopback, for tests."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def mlflow_on_loopback(folder, *command, **environment):
    """Run `mlflow COMMAND` in `folder` until the block ends; yields its address and its process."""
    port = free_port()
    uri, log = f"http://127.0.0.1:{port}", folder / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *command, "--host", "127.0.0.1", "--port", str(port)],
            # Nothing here asks for MLflow's jobs, and their processes take as long to start as the server.
            env={**(environment or os.environ), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=file,
            stderr=file,
            start_new_session=True,
            cwd=folder,
        )
    try:
        for _ in range(240):
            assert process.poll() is None, log.read_text()
            with suppress(OSError):
                if urllib.request.urlopen(f"{uri}/health", timeout=5).status == 200:
                    break
            time.sleep(0.5)
        else:
            raise AssertionError(log.read_text())
        yield uri, process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
