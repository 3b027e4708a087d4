"""Standard output that sends this process a Ctrl-C when a text is printed."""

from __future__ import annotations

import io
import os
import signal


class Interrupting(io.StringIO):
    """What is printed is kept; the text that ends the command may come in pieces."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text, self._sent = text, False

    def write(self, printed: str) -> int:
        count = super().write(printed)
        if not self._sent and self._text in self.getvalue():
            self._sent = True
            os.kill(os.getpid(), signal.SIGINT)
        return count
