"""How many bytes of pictures may be in memory at once."""

import threading


class Room:
    """A number of bytes to take from and give back to; one picture alone may exceed it.

    Parameters
    ----------
    size
        Bytes that all takers may hold together.

    Examples
    --------
    >>> room = Room(100)
    >>> room.take(250), room.give(250), room.take(60)
    (True, None, True)
    """

    def __init__(self, size: int) -> None:
        self._size, self._used = size, 0
        self._closed = False
        self._changed = threading.Condition()

    def take(self, size: int) -> bool:
        """Wait until there is room for `size` bytes, or nobody holds any; False if closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._fits(size))
            if not self._closed:
                self._used += size
            return not self._closed

    def give(self, size: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._used -= size
            self._changed.notify_all()

    def close(self) -> None:
        """Wake up whoever waits, and let nobody take any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return self._used == 0 or self._used + size <= self._size
