"""A training step as one CUDA graph: recorded once, then launched whole.

A step of a model as small as these is hundreds of kernels of a few microseconds: launched one by one from
Python, they leave a GPU idle most of the time.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Step = Callable[[Tensor, Tensor], Tensor]


class Captured:
    """A step that is launched as a CUDA graph: the same kernels on the same memory, whatever the batch.

    After PyTorch's notes on CUDA semantics, *Whole-network capture*. The gradients that the step leaves stay
    where they were when it was captured; whoever sets them to None loses them.

    Parameters
    ----------
    step : callable
        Takes the rows and starts of a batch, tensors on the GPU; sets the gradients of `model` anew, returns
        a tensor, and never synchronises with the CPU.
    model : nn.Module
        What else a step changes in it, batch normalisation's running statistics, is as it was afterwards.
    first, second : Tensor
        Any batch. Those to come must have its shapes and dtypes.

    """

    def __init__(self, step: Step, model: nn.Module, first: Tensor, second: Tensor) -> None:
        self._step = step  # the graph reads tensors that nothing else may hold
        self._batch = (first.clone(), second.clone())
        before = {name: value.clone() for name, value in model.state_dict().items()}
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):  # what libraries set up at their first calls can't be captured
                step(*self._batch)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._result = step(*self._batch)
        model.load_state_dict(before)

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Take the step; the next call overwrites what is returned."""
        for mine, given in zip(self._batch, (first, second), strict=True):
            mine.copy_(given)
        self._graph.replay()
        return self._result
