"""What params.yaml says of a comparison, as one object."""

from dataclasses import dataclass

from ecg_temporal.comparison.settings import BootstrapSettings
from ecg_temporal.models.settings import CANDIDATE, ArchitectureSettings
from ecg_temporal.probing.settings import ProbeSettings
from ecg_temporal.training.settings import TrainSettings


@dataclass(frozen=True)
class Recipe:
    """What is compared, how it was trained, and how it is decided on and tested.

    `architectures` has the CANDIDATE among them; `rule` is the headline decision rule.
    """

    architectures: dict[str, ArchitectureSettings]
    rule: str
    train: TrainSettings
    bootstrap: BootstrapSettings
    probes: ProbeSettings

    @property
    def compared(self) -> dict[str, ArchitectureSettings]:
        """All architectures but the candidate."""
        return {name: each for name, each in self.architectures.items() if name != CANDIDATE}

    @property
    def candidate(self) -> str:
        """In words what the candidate is, and whose architecture it has."""
        mine, said = self.architectures[CANDIDATE], f"{CANDIDATE} is the candidate of params.yaml"
        same = {
            name: each.learning_rate == mine.learning_rate
            for name, each in self.compared.items()
            if (each.cells, each.widen) == (mine.cells, mine.widen)
            and ((each.hidden, each.skip) == (mine.hidden, mine.skip) or not mine.cells)
        }
        if not same:
            return said
        name = max(same, key=lambda each: same[each])  # rather one with its rate
        rate = "" if same[name] else f" at a learning rate of {mine.learning_rate:g}"
        return f"{said}, here with the architecture of {name}{rate}"

    @property
    def learning_rates(self) -> str:
        """In words the learning rates of the compared architectures, the most common one first."""
        names: dict[float, list[str]] = {}
        for name, each in self.compared.items():
            names.setdefault(each.learning_rate, []).append(name)
        common, *others = sorted(names, key=lambda rate: (-len(names[rate]), rate))
        return "; ".join([f"{common:g}", *(f"{rate:g} for {', '.join(names[rate])}" for rate in others)])
