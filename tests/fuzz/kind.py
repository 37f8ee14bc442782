"""What a kind of input file has to say to be fuzzed."""

from abc import ABC, abstractmethod
from pathlib import Path
from random import Random
from typing import Any


class Kind(ABC):
    """One kind of file: how valid ones look, how the project reads them, and what it does with them afterwards.

    The constructor prepares what all cases share, in a folder; each case then writes into a folder of its own worker.
    """

    name: str
    count: int  # mutations in the long form

    @abstractmethod
    def __init__(self, folder: Path) -> None: ...

    @abstractmethod
    def write(self, draw: Random, folder: Path) -> Path:
        """Write a mutated file. Errors must name it."""

    @abstractmethod
    def read(self, path: Path) -> Any:
        """Read and check it as the project does before it starts to work; only a ValueError may come out."""

    @abstractmethod
    def use(self, content: Any) -> None:
        """Do with it what the project does later; nothing may come out.

        Raises:
            ContentChanged: if the file was damaged and this could be seen.
        """
