"""The temporal part: recurrent layers over the trunk's frames, or none.

LSTM: Hochreiter & Schmidhuber, Neural Computation 9(8), 1997. GRU: Cho et al., arXiv:1406.1078.
Bidirectional: Schuster & Paliwal, IEEE Transactions on Signal Processing 45(11), 1997.

A new kind of cell is one function here, from (inputs, hidden) to a module that maps [batch, time, inputs]
to a tuple whose first item is [batch, time, outputs], with its name in models.settings.CELLS.
"""

from collections.abc import Callable

from torch import Tensor, nn


def lstm(inputs: int, hidden: int) -> nn.Module:
    """One LSTM layer, forward in time."""
    return nn.LSTM(inputs, hidden, batch_first=True)


def gru(inputs: int, hidden: int) -> nn.Module:
    """One GRU layer, forward in time."""
    return nn.GRU(inputs, hidden, batch_first=True)


def bilstm(inputs: int, hidden: int) -> nn.Module:
    """One LSTM layer in both directions, `hidden` units each."""
    return nn.LSTM(inputs, hidden, batch_first=True, bidirectional=True)


def bigru(inputs: int, hidden: int) -> nn.Module:
    """One GRU layer in both directions, `hidden` units each."""
    return nn.GRU(inputs, hidden, batch_first=True, bidirectional=True)


FUNCTIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "lstm": lstm,
    "gru": gru,
    "bilstm": bilstm,
    "bigru": bigru,
}


class RecurrentStack(nn.Module):
    """The cells of `rnn`, `layers` times over, each fed with the states of the one below it.

    Parameters
    ----------
    inputs : int
        Features of a frame.
    rnn : str
        "none", a name of models.settings.CELLS, or several of them joined by "+".
    layers : int
        How often the stack that `rnn` names is repeated.
    hidden : int
        Units per layer and direction.

    Attributes
    ----------
    features : int
        Length of a state: `hidden`, twice that in both directions, `inputs` without any layer.

    """

    def __init__(self, inputs: int, rnn: str, layers: int, hidden: int) -> None:
        super().__init__()
        cells = [] if rnn == "none" else rnn.split("+") * layers
        self.layers = nn.ModuleList()
        self.features = inputs
        for cell in cells:
            self.layers.append(FUNCTIONS[cell](self.features, hidden))
            self.features = hidden * (2 if cell.startswith("bi") else 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map frames [batch, inputs, time] to states [batch, features, time], of both directions."""
        if not self.layers:
            return x
        x = x.transpose(1, 2)
        for layer in self.layers:
            x = layer(x)[0]
        return x.transpose(1, 2)
