"""Calls of Linux from compiled code: the clock, epoll, and sockets.

The numbers are those of Linux on all its 64-bit machines (asm-generic; x86-64 and arm64 agree on these).
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from seawall.compiled.functions import inlined, inner
from seawall.load.engine.access import address_at, clock_at, interest_at, message_at, option_at, ready_at
from seawall.load.engine.layout import ADDRESSES

EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP, EPOLLET = 0x1, 0x4, 0x8, 0x10, 0x2000, 1 << 31
EINTR, EAGAIN, EMFILE, ENFILE, ENOSYS = 4, 11, 24, 23, 38
EADDRNOTAVAIL, ENOBUFS, ECONNRESET, ETIMEDOUT, ECONNREFUSED, EINPROGRESS = 99, 105, 104, 110, 111, 115
_CLOCK_REALTIME, _CLOCK_MONOTONIC = 0, 1
_SO_TIMESTAMPNS = 35
_CONTROL_BYTES, _STAMP_BYTES = 64, 32
_PIECE_OFFSET, _CONTROL_OFFSET = 56, 72
"""Places in a row of MESSAGE: after the msghdr, after the iovec."""
_EPOLL_CTL_ADD = 1
_SOCK_STREAM, _SOCK_NONBLOCK, _SOCK_CLOEXEC = 1, 0o4000, 0o2000000
_SOL_SOCKET, _SO_ERROR = 1, 4
_IPPROTO_TCP, _TCP_NODELAY = 6, 1
_MSG_NOSIGNAL = 0x4000
_SYS_EPOLL_PWAIT2 = 441
_ADDRESS_BYTES = ADDRESSES.itemsize
READY = 512
"""Events that are taken at once."""

NO_STAMP = -1e300
AGAIN, BROKEN = -1, -2
"""What sending and receiving return where nothing was done for now, or for good."""


def _function(name: str, signature: Any) -> Any:
    """A function of libc, by its name: the linker finds it, also for code from the cache."""
    return types.ExternalFunction(name, signature)


_I32, _I64, _PTR = types.int32, types.int64, types.intp
_clock_gettime = _function("clock_gettime", _I32(_I32, _PTR))
_epoll_create1 = _function("epoll_create1", _I32(_I32))
_epoll_ctl = _function("epoll_ctl", _I32(_I32, _I32, _I32, _PTR))
_epoll_wait = _function("epoll_wait", _I32(_I32, _PTR, _I32, _I32))
_syscall = _function("syscall", _I64(_I64, _I64, _I64, _I64, _I64, _I64, _I64))
_socket = _function("socket", _I32(_I32, _I32, _I32))
_connect = _function("connect", _I32(_I32, _PTR, _I32))
_setsockopt = _function("setsockopt", _I32(_I32, _I32, _I32, _PTR, _I32))
_getsockopt = _function("getsockopt", _I32(_I32, _I32, _I32, _PTR, _PTR))
_send = _function("send", _I64(_I32, _PTR, _I64, _I32))
_recvmsg = _function("recvmsg", _I64(_I32, _PTR, _I32))
_nanosleep = _function("clock_nanosleep", _I32(_I32, _I32, _PTR, _PTR))
_close = _function("close", _I32(_I32))
_memcpy = _function("memcpy", _PTR(_PTR, _PTR, _I64))
_errno_location = _function("__errno_location", _PTR())


@intrinsic
def _load_i32(typing_context: Any, address: Any) -> Any:
    """The 32-bit number at an address."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
        return builder.sext(builder.load(place), ir.IntType(64))

    return types.int64(types.intp), code


@inner
def errno():
    """The number of the last call's error."""
    return _load_i32(_errno_location())  # type: ignore[call-arg]


@inlined
def clock(s):
    """Seconds since the run's time 0, from Linux's monotonic clock (nanoseconds fine)."""
    _clock_gettime(_CLOCK_MONOTONIC, s.a_clock)
    t = clock_at(s, 0)
    return t.seconds + t.nanoseconds * 1e-9 - s.origin


@inner
def look_at_clocks(s):
    """See how far the wall clock is ahead of the run's: the kernel stamps what it receives by the wall clock."""
    _clock_gettime(_CLOCK_REALTIME, s.a_clock)
    t = clock_at(s, 0)
    wall = t.seconds + t.nanoseconds * 1e-9
    s.ahead = wall - clock(s)


@inner
def open_epoll(s):
    """Make the run's epoll instance; False where Linux has no room for one."""
    s.epoll = _epoll_create1(_SOCK_CLOEXEC)
    return s.epoll >= 0


@inner
def close_file(fd):
    """Give a file descriptor back."""
    _close(fd)


@inner
def wait_events(s, seconds):
    """Wait for events on the sockets for so long at most; how many there are.

    What is due within `patience` is slept for without looking: one awakening serves it and the answers that came
    meanwhile, which the kernel has stamped. epoll_pwait2 (Linux 5.11) waits to the nanosecond; before it, the last
    part of a millisecond is not slept.
    """
    if 0.0 < seconds < s.patience:
        t = clock_at(s, 1)
        t.seconds = 0
        t.nanoseconds = int(seconds * 1e9)
        _nanosleep(_CLOCK_MONOTONIC, 0, s.a_clock + 16, 0)
        seconds = 0.0
    if seconds <= 0.0:
        return max(0, _epoll_wait(s.epoll, s.a_ready, READY, 0))
    if s.no_pwait2 == 0:
        t = clock_at(s, 1)
        t.seconds = int(seconds)
        t.nanoseconds = int((seconds - int(seconds)) * 1e9)
        n = _syscall(_SYS_EPOLL_PWAIT2, s.epoll, s.a_ready, READY, s.a_clock + 16, 0, 0)
        if n >= 0:
            return n
        if errno() != ENOSYS:
            return 0
        s.no_pwait2 = 1
    return max(0, _epoll_wait(s.epoll, s.a_ready, READY, int(seconds * 1e3)))


@inner
def open_socket(s, address, data):
    """Begin to connect, events to be told with `data`: the file descriptor, or minus the number of the error."""
    to = address_at(s, address)
    fd = _socket(to.family, _SOCK_STREAM | _SOCK_NONBLOCK | _SOCK_CLOEXEC, 0)
    if fd < 0:
        return -errno()
    option_at(s, 0).value = 1
    _setsockopt(fd, _IPPROTO_TCP, _TCP_NODELAY, s.a_option, 4)
    _setsockopt(fd, _SOL_SOCKET, _SO_TIMESTAMPNS, s.a_option, 4)
    e = interest_at(s, 0)
    e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
    e.data = data
    if _connect(fd, s.a_addresses + address * _ADDRESS_BYTES + 16, to.length) != 0:
        error = errno()
        if error != EINPROGRESS:
            _close(fd)
            return -error
    # What is ready by the time of the asking is told too, so that no edge is missed.
    if _epoll_ctl(s.epoll, _EPOLL_CTL_ADD, fd, s.a_interest) != 0:
        error = errno()
        _close(fd)
        return -error
    return fd


@inner
def socket_error(s, fd):
    """How connecting ended: 0, or the number of the error."""
    option = option_at(s, 0)
    option.value = 0
    option.length = 4
    _getsockopt(fd, _SOL_SOCKET, _SO_ERROR, s.a_option, s.a_option + 4)
    return option.value


@inlined
def send_bytes(fd, address, length):
    """Bytes sent, AGAIN, or BROKEN."""
    n = _send(fd, address, length, _MSG_NOSIGNAL)
    if n >= 0:
        return n
    e = errno()
    return AGAIN if e == EAGAIN or e == EINTR else BROKEN


@inlined
def receive_bytes(s, fd, address, length):
    """Bytes received, 0 where the other side has closed, AGAIN, or BROKEN; then, when the last of them came.

    That is the kernel's own stamp (SO_TIMESTAMPNS; tcp_recvmsg gives it with the data), so that an answer counts as
    come when it came, not when this process had a turn to look. Without a stamp it is a time before all times.
    """
    m = message_at(s, 0)
    m.piece = address
    m.piece_length = length
    m.pieces = s.a_message + _PIECE_OFFSET
    m.piece_count = 1
    m.control = s.a_message + _CONTROL_OFFSET
    m.control_length = _CONTROL_BYTES
    m.flags = 0
    n = _recvmsg(fd, s.a_message, 0)
    if n > 0:
        if m.control_length >= _STAMP_BYTES and m.c_level == _SOL_SOCKET and m.c_type == _SO_TIMESTAMPNS:
            return n, m.c_seconds + m.c_nanoseconds * 1e-9 - s.ahead
        return n, NO_STAMP
    if n == 0:
        return n, NO_STAMP
    e = errno()
    return AGAIN if e == EAGAIN or e == EINTR else BROKEN, NO_STAMP


@inlined
def copy(to, source, length):
    """Copy bytes from one address to another."""
    _memcpy(to, source, length)


@inlined
def ready(s, i):
    """An event: (which, of what)."""
    e = ready_at(s, i)
    return e.events, e.data
