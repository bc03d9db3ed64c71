"""SIGTERM, and the terminal that is closed (SIGHUP), as Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: For how long something big is undone in peace.
PEACE_SECONDS = 15.0


@contextmanager
def interruptible(*, peace: float = 0) -> Iterator[None]:
    """They end what runs within as Ctrl-C does: by an exception, so that what was begun is undone. What is ignored,
    as `nohup` sees to, stays ignored. For `peace` seconds after the first no further one is heard: Ctrl-C pressed
    again would end the undoing half way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = float("-inf")

    def hear(*_: object) -> None:
        nonlocal heard
        if time.monotonic() - heard > peace:
            heard = time.monotonic()
            raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {one: signal.signal(one, hear) for one in signals if signal.getsignal(one) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
