"""The consumer's side of the bus: what turns "at least once" into "once, in order".

JetStream consumers need none of this. For MQTT it is the whole rule, small enough to be written
again in any language.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Sequencer:
    """Remembers the last number of each topic; keep `last` where the consumer may restart.

    Attributes:
        repeated: Messages that were dropped because they were known.
        missed: Times a message told of a predecessor that never came.
    """

    last: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    missed: int = 0

    def is_new(self, topic: str, sequence: int, previous: int) -> bool:
        """Return whether this message is to be taken.

        Args:
            topic: Where it came from; every topic has one publisher.
            sequence: Its number.
            previous: That of the message before it on this topic.
        """
        known = self.last.get(topic)
        if known is not None and sequence <= known:
            self.repeated += 1
            return False
        if known is not None and previous > known:
            self.missed += 1
        self.last[topic] = sequence
        return True
