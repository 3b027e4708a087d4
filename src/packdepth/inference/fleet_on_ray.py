"""Prediction of a list of inputs by workers of Ray, on any number of machines: `packdepth predict LIST.txt --ray N`.

Ray Data hands one input after the other to the workers, which are those of `packdepth.inference.fleet`: manifest,
folders and what is done are the same, so that shards may go on with what Ray began, and the other way round.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from packdepth.blocks import use
from packdepth.config import Precision
from packdepth.errors import InputError, check_least, in_one_line
from packdepth.inference.fleet import ATTEMPTS, Item, list_in_words, open_worker, print_summary, read_list
from packdepth.inference.run import Asked
from packdepth.interruption import heed_again


class RayWorker:
    """A worker of a list in a process that Ray starts, and starts again when it dies.

    Ray gives an input whose worker has died to another worker, any number of times. An input that kills its worker,
    for example because memory does not suffice, is given up after `ATTEMPTS` attempts.

    Args:
        folder: the working folder of the command, from which relative paths are read.
        used: the files and modules that --use names.
        options: the arguments of `open_worker`.
    """

    def __init__(self, folder: str, used: Sequence[str], options: dict[str, Any]) -> None:
        self.error = ""  # why this machine cannot predict, for the command to say: Ray would print its own stack
        try:
            os.chdir(folder)
            for name in used:
                use(name)
            self.worker = open_worker(**options)
        except (InputError, OSError) as error:
            self.error = in_one_line(str(error))

    def __call__(self, row: dict[str, Any]) -> dict[str, str]:
        """Predict an input.

        Args:
            row: `path` and `name` of the item, and `attempts`, the number of its attempts before this command.

        Returns:
            The path as `input`, what `Worker.predict` returns as `state`, and as `error` why this machine can predict
            nothing, or nothing.
        """
        if self.error:
            return {"input": row["path"], "state": "failed", "error": self.error}
        item = Item(Path(row["path"]), row["name"])
        try:
            state = "failed" if self._is_given_up(item, row["attempts"]) else self.worker.predict(item)
        except InputError as error:  # its disk is full
            return {"input": row["path"], "state": "failed", "error": in_one_line(str(error))}
        return {"input": row["path"], "state": state, "error": ""}

    def _is_given_up(self, item: Item, before: int) -> bool:
        """Return whether all attempts at an input have ended with the death of their worker, and note it."""
        if self.worker.is_done(item):
            return False
        attempts = self.worker.manifest.attempts[item.name] - before
        if attempts < ATTEMPTS:
            return False
        error = "its worker died in each attempt, as it does when memory does not suffice"
        self.worker.manifest.add(item, "failed", attempt=attempts, error=error)
        return True


def predict_list_on_ray(
    checkpoint: Path,
    path: Path,
    output: Path,
    asked: Asked,
    workers: int,
    precision: Precision = "32",
    runtime: str | None = None,
    batch: int = 1,
    used: Sequence[str] = (),
) -> None:
    """Predict the inputs of a list with workers of Ray, except those that are done, and print a summary.

    The cluster is the one that the environment variable RAY_ADDRESS or the machine knows; without one, Ray starts its
    workers on this machine. A worker takes a GPU if the cluster has GPUs, else a core. If there are fewer of them than
    workers, fewer workers start. All machines need packdepth, and the checkpoint, the inputs and the output under the
    same paths.

    Args:
        checkpoint: the checkpoint, as in `predict`.
        path: the list, see `read_list`.
        output: the folder to write to, as in `predict_list`.
        asked: what to write of each input.
        workers: number of workers.
        precision: precision of the depth network.
        runtime: what computes an exported file.
        batch: number of images in a call of the depth network.
        used: the files and modules that --use names.

    Raises InputError before anything is written if the extra `ray` is not installed, or if the list, the checkpoint or
    an option cannot be used, and at the end if inputs have failed or Ray has.
    """
    check_least("ray", workers, 1)
    if importlib.util.find_spec("ray") is None:
        raise InputError("--ray needs Ray Data: pip install 'packdepth[ray]'; --shard I/N works without it")
    items = read_list(path)
    print(list_in_words(path, items), flush=True)
    options: dict[str, Any] = {
        "checkpoint": checkpoint,
        "output": output,
        "asked": asked,
        "precision": precision,
        "runtime": runtime,
        "batch": batch,
    }
    worker = open_worker(**options)  # of this process, which predicts nothing: what cannot be used is said here
    worker.check_free(items)
    attempts = worker.manifest.attempts
    rows = [{"path": str(item.path), "name": item.name, "attempts": attempts[item.name]} for item in items]
    began, states = time.monotonic(), Counter[str]()
    arguments = {"folder": str(Path.cwd()), "used": tuple(used), "options": options}
    with closing(_mapped(rows, workers, arguments)) as results:
        for result in results:
            if result["error"]:
                raise InputError(f"--ray: a worker cannot predict on its machine ({result['error']})")
            states[result["state"]] += 1
            print(f"{result['state']:<10} {result['input']}", flush=True)
    print_summary(worker, items, f"{workers} workers of Ray", states, time.monotonic() - began)


def _mapped(
    rows: list[dict[str, Any]], workers: int, arguments: dict[str, Any]
) -> Generator[dict[str, str], None, None]:
    """Yield what `RayWorker(**arguments)` returns for each row, in the order in which they are ready."""
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    try:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level="WARNING")
        heed_again()  # Ray has put its own handler of SIGTERM in place of ours
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # the manifest and the error below say what it says
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = False
        yield from (
            ray.data.from_items(rows, override_num_blocks=len(rows))  # an input each: what a dead worker repeats
            .map(
                RayWorker,
                fn_constructor_kwargs=arguments,
                compute=ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),  # no input waits for another
                num_gpus=1 if ray.cluster_resources().get("GPU") else None,
            )
            .iter_rows()
        )
    except (ray.exceptions.RayError, ConnectionError) as error:
        reason = in_one_line(str(error).strip().splitlines()[-1])  # above it stand the stacks of other processes
        raise InputError(
            f"--ray: Ray could not run the workers ({reason}); the same command goes on with what is not done"
        ) from error
    finally:
        ray.shutdown()
