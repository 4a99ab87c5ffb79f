"""Whether a client connection is read from."""

from __future__ import annotations

from uvicorn.protocols.http.flow_control import FlowControl

from ringserve.limits import PIPELINE_MAX


class ReadFlow(FlowControl):
    """uvicorn's flow control, with reasons of ours not to read that its own `resume_reading` leaves alone.

    A client who does not read its answers is not read from either, and one whose requests pile up unanswered
    has to wait. uvicorn alone reads on after each answer: a client that pipelines and never reads could fill
    the memory.

    Attributes:
        held: Whether reading is paused for one of our reasons.
    """

    held = False

    def look(self, unanswered: int) -> None:
        """Pause or go on, given how many requests of this connection are not answered yet."""
        if self.held:
            if not self.write_paused and unanswered <= PIPELINE_MAX // 2:
                self.held = False
                self.resume_reading()
        elif self.write_paused or unanswered > PIPELINE_MAX:
            self.held = True
            self.pause_reading()

    def resume_reading(self) -> None:
        """Read on, unless held."""
        if not self.held:
            super().resume_reading()
