"""What an instructor reads out: `otter-plum-lamp@192.168.1.5`, the class's word and where its board is."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from orderkit.errors import LabError

DEFAULT_PORT = 8765
_WORDS = [
    "acorn",
    "amber",
    "anchor",
    "apple",
    "apron",
    "arrow",
    "badge",
    "bagel",
    "bamboo",
    "banjo",
    "barrel",
    "basket",
    "beaver",
    "berry",
    "biscuit",
    "bottle",
    "bridge",
    "brush",
    "bucket",
    "butter",
    "button",
    "cabin",
    "cactus",
    "camel",
    "candle",
    "canoe",
    "carrot",
    "castle",
    "cedar",
    "cherry",
    "cider",
    "circle",
    "clover",
    "cobalt",
    "cocoa",
    "comet",
    "copper",
    "coral",
    "cotton",
    "cradle",
    "crayon",
    "cricket",
    "daisy",
    "desert",
    "donkey",
    "dragon",
    "eagle",
    "easel",
    "ember",
    "falcon",
    "feather",
    "fern",
    "fiddle",
    "flute",
    "forest",
    "fossil",
    "galaxy",
    "garden",
    "garlic",
    "ginger",
    "glacier",
    "goblet",
    "goose",
    "granite",
    "guitar",
    "hammer",
    "harbor",
    "hazel",
    "helmet",
    "heron",
    "honey",
    "igloo",
    "island",
    "ivory",
    "jacket",
    "jasmine",
    "jungle",
    "kayak",
    "kettle",
    "kitten",
    "ladder",
    "lagoon",
    "lantern",
    "laurel",
    "lemon",
    "lentil",
    "lilac",
    "lobster",
    "magnet",
    "mango",
    "maple",
    "marble",
    "meadow",
    "melon",
    "mitten",
    "monkey",
    "mortar",
    "nectar",
    "needle",
    "nutmeg",
    "olive",
    "onion",
    "orchid",
    "otter",
    "oyster",
    "paddle",
    "panda",
    "pepper",
    "piano",
    "pigeon",
    "pillow",
    "planet",
    "plum",
    "pocket",
    "pollen",
    "poplar",
    "potato",
    "pumpkin",
    "puzzle",
    "quartz",
    "rabbit",
    "radish",
    "raven",
    "ribbon",
    "river",
    "rocket",
    "saddle",
    "salmon",
    "sandal",
    "sesame",
    "silver",
    "spider",
    "spoon",
    "squash",
    "summer",
    "teapot",
    "thistle",
    "ticket",
    "timber",
    "tomato",
    "tulip",
    "tunnel",
    "turnip",
    "turtle",
    "valley",
    "velvet",
    "violet",
    "walnut",
    "willow",
    "window",
    "winter",
    "zebra",
]
_FORM = re.compile(r"(?P<word>[a-z]{3,12}(-[a-z]{3,12}){2})@(?P<host>[a-z0-9][a-z0-9.-]{0,252})(:(?P<port>\d{1,5}))?")


@dataclass(frozen=True)
class Invitation:
    """The word opens the board to learners; the rest says where it is."""

    word: str
    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        return f"{self.word}@{self.host}" + (f":{self.port}" if self.port != DEFAULT_PORT else "")

    @property
    def url(self) -> str:
        """The board's address."""
        return f"http://{self.host}:{self.port}"


def make_word() -> str:
    """Three words, one of 3.5 million: enough against guesses, of which the board takes one in two seconds."""
    return "-".join(secrets.choice(_WORDS) for _ in range(3))


def read_invitation(text: str) -> Invitation:
    """What a learner typed. Raises LabError, which shows the form."""
    found = _FORM.fullmatch("".join(text.split()).lower())
    if found is None or int(found["port"] or DEFAULT_PORT) > 65_535:
        raise LabError(f"{text!r} is not such a word; it looks like this: otter-plum-lamp@192.168.1.5")
    return Invitation(found["word"], found["host"], int(found["port"] or DEFAULT_PORT))
