"""Fitness of this machine: a process takes no work while its programs or its disk do not work."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.media.tool_proof import MPEG4, ToolsUnfit, prove_tools
from pipeline.media.tools import Tools

PROVE_AGAIN_SEC = 15.0
"""Time until a machine that was found unfit is proved again."""

_log = logging.getLogger(__name__)


@dataclass
class HostFitness:
    """Memory of the last proof of this machine's programs, one for each process.

    Attributes:
        encoder: ffmpeg's options of the encoder to prove.
        folder: Folder of the work, whose disk is proved too; None for the system's temporary one.
        fault: Fault of the programs; None as long as none is known.
    """

    encoder: Sequence[str] = MPEG4
    folder: Path | None = None
    clock: Callable[[], float] = time.monotonic
    fault: str | None = None
    _proved_at: float = field(default=0.0)

    def judge(self, tools: Tools) -> str | None:
        """Prove the programs now; return their fault, or None if they work."""
        self._proved_at = self.clock()
        try:
            prove_tools(tools, self.encoder, self.folder)
        except ToolsUnfit as unfit:
            self.fault = str(unfit)
            _log.error("this machine takes no work: %s", unfit)
        else:
            self.fault = None
        return self.fault

    def takes_work(self, tools: Tools) -> bool:
        """Return false while the programs do not work; a machine that was unfit is proved again."""
        if self.fault is not None and self.clock() - self._proved_at >= PROVE_AGAIN_SEC:
            self.judge(tools)
        return self.fault is None
