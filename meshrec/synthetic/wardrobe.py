"""Random outfits of garments for synthetic people, and the colours of their cloth."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from meshrec.body import BodyModel
from meshrec.body.base_mesh import load_base_mesh
from meshrec.data.streams import Streams
from meshrec.synthetic.garments import Dressed, Worn, dress, put_on, read_garments
from meshrec.synthetic.textures import Cloth, draw_cloth, draw_hair_color

Outfit = tuple[int, int, int]  # indices of a suit, of shoes, and of hair or a hat; -1 is none
SUIT, SHOES, HEAD = 1, 2, 3  # numbers of the garments of an outfit among the parts of a dressed body
WAIST = 0.08  # height above the pelvis, metres, where the two cloths of a suit meet


@dataclass(frozen=True)
class OutfitMix:
    """Shares of people who wear something; the rest wears none of it, and has the paint of textures instead.

    Attributes:
        suit: Share of people in a suit: shirt and trousers, dress, overall or jacket.
        shoes: Share of people in shoes.
        head: Share of people with hair or a hat that stands off the head.
    """

    suit: float = 0.85
    shoes: float = 0.75
    head: float = 0.8


@dataclass(frozen=True)
class Fabrics:
    """What the garments of B people are made of.

    Attributes:
        cloths: Of suits, shoes and hats.
        trousers: Of suits below the waist.
        two_pieces: (B,) bool, whether suits have another cloth there.
        hair: (B, 3) RGB of hair.
    """

    cloths: tuple[Cloth, ...]
    trousers: Cloth
    two_pieces: Tensor
    hair: Tensor

    @classmethod
    def draw(cls, streams: Streams, device: torch.device) -> Fabrics:
        """Draw them, with one random stream per person."""
        cloths = tuple(draw_cloth(streams).to(device) for _ in (SUIT, SHOES, HEAD))
        trousers, two_pieces = draw_cloth(streams).to(device), streams.happens(0.7).to(device)
        return cls(cloths, trousers, two_pieces, draw_hair_color(streams).to(device))


@dataclass(frozen=True)
class Wardrobe:
    """Garments that fit one body.

    Attributes:
        body: The body.
        suits, shoes, heads: The garments by the part of the body that they cover; hair and hats cover the head.
        hair: Number of the first of ``heads`` that are hair; the others are hats.
        mix: Shares of people who wear them.
    """

    body: BodyModel
    suits: tuple[Worn, ...]
    shoes: tuple[Worn, ...]
    heads: tuple[Worn, ...]
    hair: int
    mix: OutfitMix = field(default_factory=OutfitMix)

    @classmethod
    def of_folder(cls, folder: str | Path, body: BodyModel, mix: OutfitMix = OutfitMix()) -> Wardrobe:
        """Read a folder of MakeHuman's garments and fit them to a body.

        Args:
            folder: Folder of ``.mhclo`` and ``.obj`` files, such as ``makehuman-assets`` of MakeHuman's community.
            body: The open body.
            mix: Shares of people who wear them.

        Raises:
            InputError: The folder has no garment, or a file in it is damaged.
        """
        base = load_base_mesh()
        found: dict[str, list[Worn]] = {"suit": [], "shoes": [], "hair": [], "hat": []}
        for garment in read_garments(folder, base):
            found[garment.kind].append(put_on(garment, body, base))
        heads = (*found["hair"], *found["hat"])
        return cls(body, tuple(found["suit"]), tuple(found["shoes"]), heads, len(found["hair"]), mix)

    def draw(self, streams: Streams) -> list[Outfit]:
        """Draw an outfit for each stream."""
        columns = []
        for share, garments in ((self.mix.suit, self.suits), (self.mix.shoes, self.shoes), (self.mix.head, self.heads)):
            worn = streams.happens(share if garments else 0.0)
            columns.append(torch.where(worn, streams.whole(max(len(garments), 1)), -1))
        return [tuple(row) for row in torch.stack(columns, dim=1).tolist()]

    def dressed(self, outfit: Outfit) -> Dressed:
        """The body in an outfit."""
        choices = zip((SUIT, SHOES, HEAD), (self.suits, self.shoes, self.heads), outfit)
        return dress(self.body, {number: garments[i] for number, garments, i in choices if i >= 0})

    def colors(self, outfit: Outfit, part: Tensor, position: Tensor, person: Tensor, fabrics: Fabrics) -> Tensor:
        """Colours of places on the garments of an outfit.

        Args:
            outfit: The outfit.
            part: (P,) number of the garment of each place.
            position: (P, 3) the places at rest, metres.
            person: (P,) the person to whom each place belongs.
            fabrics: What the garments of all people are made of.

        Returns:
            (P, 3) RGB.
        """
        colors = position.new_zeros(len(part), 3)
        for number, cloth in zip((SUIT, SHOES, HEAD), fabrics.cloths):
            at = part == number
            hair = number == HEAD and outfit[HEAD - 1] < self.hair
            colors[at] = fabrics.hair[person[at]] if hair else cloth.at(person[at], position[at])
        legs = (part == SUIT) & (position[:, 1] < WAIST) & fabrics.two_pieces[person]
        colors[legs] = fabrics.trousers.at(person[legs], position[legs])
        return colors
