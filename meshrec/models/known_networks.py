"""The networks that come with meshrec, and those whose published weights it converts."""

from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).parent / "known_networks.txt"


@dataclass(frozen=True)
class KnownNetwork:
    """A network that can be used.

    Attributes:
        name: what it is called.
        architecture: its row in :data:`meshrec.models.build.ARCHITECTURES`, or ``field_of_view``.
        parameters: number of its weights, millions.
        input: what it sees.
        licence: of its weights if it comes with meshrec; else that of its authors' code.
        bring: files that the user has to get; empty for a network that comes with meshrec.
        origin: whose project has them; empty for a network that comes with meshrec.
        pa_mpjpe, mpjpe, pve: published errors on the test set of 3DPW, mm; None if there are none. The first is after
            alignment by a similarity, the last that of the vertices.
        source: where these errors were published.
    """

    name: str
    architecture: str
    parameters: float
    input: str
    licence: str
    bring: tuple[str, ...] = ()
    origin: str = ""
    pa_mpjpe: float | None = None
    mpjpe: float | None = None
    pve: float | None = None
    source: str = ""

    @property
    def is_shipped(self) -> bool:
        """Whether it comes with meshrec."""
        return not self.bring


def known_networks() -> list[KnownNetwork]:
    """The networks of ``known_networks.txt``, those that come with meshrec first.

    Example:
        >>> from meshrec.models.known_networks import known_networks
        >>> [network.name for network in known_networks() if network.is_shipped]
        ['proxy', 'keypoints', 'graph']
    """
    table = ConfigParser(interpolation=None, delimiters=("=",))
    table.read_string(TABLE.read_text(encoding="utf-8"))
    found = []
    for name in table.sections():
        row = table[name]
        bring = tuple(file.strip() for file in row.get("bring", "").split(";") if file.strip())
        pa_mpjpe, mpjpe, pve = (float(row[key]) if key in row else None for key in ("pa_mpjpe", "mpjpe", "pve"))
        found.append(
            KnownNetwork(
                name,
                architecture=row["architecture"],
                parameters=float(row["parameters"]),
                input=row["input"],
                licence=row["licence"],
                bring=bring,
                origin=row.get("from", ""),
                pa_mpjpe=pa_mpjpe,
                mpjpe=mpjpe,
                pve=pve,
                source=row.get("source", ""),
            )
        )
    return found
