"""TLS from compiled code: OpenSSL's libssl, by the addresses of its functions.

The library is the one that Python's own `ssl` module has, where that can be taken. Compiled code, fresh or from
the cache, can be linked only when the names it calls are known; importing this module makes them known, also on
a machine without the library, where plain HTTP must run all the same.

OpenSSL writes with write(2), so a connection that the server has closed raises SIGPIPE: the process must ignore
it, as Python does from its start (nobody may set it back to SIG_DFL).
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
import ctypes
import ctypes.util
import importlib.util
import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llvmlite.binding
import numpy as np
from numba.core import types
from numpy.typing import NDArray

from seawall.compiled.functions import inner
from seawall.fleet.errors import InputError

HANDSHAKE_DONE, HANDSHAKE_AGAIN, HANDSHAKE_FAILED = range(3)
"""What `tls_handshake` returns."""
END, AGAIN, BROKEN = 0, -1, -2
"""What `tls_read` and `tls_write` return where no bytes passed: the other side has ended, nothing for now, never."""

# The numbers below are of OpenSSL's headers (ssl.h, tls1.h), the same in 1.1.1 and 3.x.
_WANT_READ, _WANT_WRITE, _SYSCALL, _ZERO_RETURN = 2, 3, 5, 6
_CTRL_MODE, _CTRL_READ_AHEAD, _CTRL_SESSION_CACHE, _CTRL_HOST_NAME, _CTRL_MIN_VERSION = 33, 41, 44, 55, 123
_MODE_PARTIAL_WRITE, _MODE_MOVING_BUFFER, _MODE_AUTO_RETRY, _MODE_RELEASE_BUFFERS = 0x1, 0x2, 0x4, 0x10
_OP_IGNORE_UNEXPECTED_EOF = 1 << 7
_VERIFY_NONE, _VERIFY_PEER = 0, 1
_TLS_1_2 = 0x0303
_OLDEST_LIBRARY = 0x10101000
_PROTOCOLS = b"\x08http/1.1"
"""What ALPN offers (RFC 7301): each name after its length."""

_I32, _I64, _U64, _PTR, _NONE = types.int32, types.int64, types.uint64, types.intp, types.void
_CALLED = {
    "SSL_new": _PTR(_PTR),
    "SSL_free": _NONE(_PTR),
    "SSL_set_fd": _I32(_PTR, _I32),
    "SSL_set_connect_state": _NONE(_PTR),
    "SSL_ctrl": _I64(_PTR, _I32, _I64, _PTR),
    "SSL_get0_param": _PTR(_PTR),
    "X509_VERIFY_PARAM_set1_host": _I32(_PTR, _PTR, _I64),
    "X509_VERIFY_PARAM_set1_ip_asc": _I32(_PTR, _PTR),
    "SSL_do_handshake": _I32(_PTR),
    "SSL_read": _I32(_PTR, _PTR, _I32),
    "SSL_write": _I32(_PTR, _PTR, _I32),
    "SSL_shutdown": _I32(_PTR),
    "SSL_in_init": _I32(_PTR),
    "SSL_get_error": _I32(_PTR, _I32),
    "SSL_get_verify_result": _I64(_PTR),
    "ERR_clear_error": _NONE(),
    "ERR_peek_error": _U64(),
    "ERR_set_mark": _I32(),
    "ERR_pop_to_mark": _I32(),
}
"""The functions that compiled code calls."""


# --- the library -----------------------------------------------------------------------------------------------


def _libraries() -> Iterator[ctypes.CDLL]:
    """Handles in which libssl and libcrypto can be looked up, the likeliest first."""
    spec = importlib.util.find_spec("_ssl")
    # A lookup in a handle covers what that library itself depends on. Python can also have OpenSSL within
    # itself; its functions cannot be found then, and those of the machine must not be mixed up with them.
    if spec is not None and spec.origin is not None and os.path.isfile(spec.origin):
        yield from _opened(spec.origin, 0)
    apart = getattr(os, "RTLD_DEEPBIND", 0)
    for name in ("libssl.so.3", "libssl.so.1.1"):
        yield from _opened(name, apart)
    found = ctypes.util.find_library("ssl")
    if found is not None:
        yield from _opened(found, apart)


def _opened(name: str, mode: int) -> Iterator[ctypes.CDLL]:
    try:
        yield ctypes.CDLL(name, mode=ctypes.DEFAULT_MODE | mode)
    except OSError:
        return


def _find_library() -> ctypes.CDLL | None:
    for library in _libraries():
        try:
            library.OpenSSL_version_num.restype = ctypes.c_ulong
            if library.OpenSSL_version_num() < _OLDEST_LIBRARY:
                continue
            for name in _CALLED:
                library[name]
        except AttributeError:
            continue
        return _typed(library)
    return None


def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    """Tell ctypes the types of the functions that Python calls."""
    pointer, text, number, long = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_long
    forms: tuple[tuple[Any, ...], ...] = (
        ("TLS_client_method", pointer),
        ("SSL_CTX_new", pointer, pointer),
        ("SSL_CTX_free", None, pointer),
        ("SSL_CTX_ctrl", long, pointer, number, long, pointer),
        ("SSL_CTX_set_options", ctypes.c_uint64, pointer, ctypes.c_uint64),
        ("SSL_CTX_set_verify", None, pointer, number, pointer),
        ("SSL_CTX_set_alpn_protos", number, pointer, text, ctypes.c_uint),
        ("SSL_CTX_load_verify_locations", number, pointer, text, text),
        ("SSL_CTX_set_default_verify_paths", number, pointer),
        ("X509_verify_cert_error_string", text, long),
        ("ERR_get_error", ctypes.c_ulong),
        ("ERR_clear_error", None),
        ("ERR_error_string_n", None, ctypes.c_ulong, pointer, ctypes.c_size_t),
    )
    for name, result, *arguments in forms:
        function = getattr(library, name)  # by attribute: an item would be forgotten at once
        function.restype = result
        function.argtypes = arguments
    return library


def _make_known(library: ctypes.CDLL | None) -> None:
    """Make the functions known to compiled code.

    Without the library abort(3) stands in for each: there is no context then, and without one none is called.
    """
    stand_in = ctypes.CDLL(None).abort
    for name in _CALLED:
        function = stand_in if library is None else library[name]
        llvmlite.binding.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)


_LIBRARY = _find_library()
_make_known(_LIBRARY)


def load_library() -> None:
    """Make sure that TLS can be spoken; raises InputError where no OpenSSL of 1.1.1 or later was found."""
    _library()


def _library() -> ctypes.CDLL:
    if _LIBRARY is None:
        raise InputError(
            "https:// needs OpenSSL 1.1.1 or later, and libssl.so.3 was not found on this machine: install it "
            "(Debian, Ubuntu: `apt install libssl3`), or give an http:// address"
        )
    return _LIBRARY


# --- contexts and errors, from Python --------------------------------------------------------------------------


def new_context(verify: bool, ca_file: Path | None) -> int:
    """What all connections of a process share; to be given back by `free_context`.

    With `verify` a server must show a certificate of an authority in `ca_file` (PEM), or of one that this machine
    trusts where there is no `ca_file`; the name is checked by `tls_new`. Each connection makes a full handshake, as
    a new client does: no session is ever taken up again. Raises InputError.
    """
    library = _library()
    library.ERR_clear_error()
    context = library.SSL_CTX_new(library.TLS_client_method())
    if not context:
        raise InputError(f"OpenSSL cannot be used: {tls_error()}")
    # Buffers are given back while a connection is idle: else each holds tens of KiB. OpenSSL reads a record and
    # its head at once. An AGAIN then still means that the kernel had no more, which epoll's edges rely on.
    mode = _MODE_PARTIAL_WRITE | _MODE_MOVING_BUFFER | _MODE_AUTO_RETRY | _MODE_RELEASE_BUFFERS
    library.SSL_CTX_ctrl(context, _CTRL_MODE, mode, None)
    library.SSL_CTX_ctrl(context, _CTRL_READ_AHEAD, 1, None)
    library.SSL_CTX_ctrl(context, _CTRL_SESSION_CACHE, 0, None)
    library.SSL_CTX_ctrl(context, _CTRL_MIN_VERSION, _TLS_1_2, None)
    library.SSL_CTX_set_options(context, _OP_IGNORE_UNEXPECTED_EOF)
    library.SSL_CTX_set_alpn_protos(context, _PROTOCOLS, len(_PROTOCOLS))
    library.SSL_CTX_set_verify(context, _VERIFY_PEER if verify else _VERIFY_NONE, None)
    if verify:
        try:
            _trust(library, context, ca_file)
        except InputError:
            library.SSL_CTX_free(context)
            raise
    return int(context)


def _trust(library: ctypes.CDLL, context: int, ca_file: Path | None) -> None:
    if ca_file is None:
        library.SSL_CTX_set_default_verify_paths(context)
        library.ERR_clear_error()  # a file that is not there is no error: there is a directory too
        return
    try:
        ca_file.open("rb").close()
    except OSError as error:
        raise InputError(
            f"the file of certificate authorities cannot be read: {error.strerror}", file=ca_file
        ) from None
    if library.SSL_CTX_load_verify_locations(context, os.fsencode(ca_file), None) != 1:
        raise InputError(
            f"no certificate of an authority could be read here ({tls_error()}): give a PEM file, with "
            "`-----BEGIN CERTIFICATE-----` in it",
            file=ca_file,
        )


def free_context(context: int) -> None:
    """Give a context back; connections made from it may live on."""
    _library().SSL_CTX_free(context)


def server_name(host: str) -> NDArray[np.uint8]:
    """The name or IP address of a server as `tls_new` wants it: bytes, shape (n + 1,), with a zero at the end.

    Without the brackets and the zone of an IPv6 address and without a dot at the end (RFC 6066, 3: no trailing dot).
    """
    bare = host.removeprefix("[").removesuffix("]")
    try:
        name = str(ipaddress.ip_address(bare.partition("%")[0])).encode()
    except ValueError:
        name = bare.removesuffix(".").encode("ascii" if bare.isascii() else "idna")
    return np.frombuffer(name + b"\0", np.uint8).copy()


def tls_error(code: int | None = None, verify_result: int = 0) -> str:
    """An error of OpenSSL as text: the first that this thread's last call left (and it is forgotten), or `code`.

    `code` is of `tls_error_code`; 0 is "" (the network failed, not TLS). `verify_result` is of `tls_verify_result`:
    for a refused certificate it says why.
    """
    library = _library()
    if code is None:
        code = library.ERR_get_error()
        library.ERR_clear_error()
    if code == 0:
        return ""
    text = ctypes.create_string_buffer(256)
    library.ERR_error_string_n(code, text, len(text))
    said = text.value.decode(errors="replace")
    if verify_result != 0 and "certificate verify failed" in said:
        said += f": {library.X509_verify_cert_error_string(verify_result).decode(errors='replace')}"
    return said


# --- connections, from compiled code ---------------------------------------------------------------------------

_called: dict[str, Any] = {name: types.ExternalFunction(name, form) for name, form in _CALLED.items()}
_new = _called["SSL_new"]
_free = _called["SSL_free"]
_set_fd = _called["SSL_set_fd"]
_set_connect_state = _called["SSL_set_connect_state"]
_ctrl = _called["SSL_ctrl"]
_get_param = _called["SSL_get0_param"]
_expect_host = _called["X509_VERIFY_PARAM_set1_host"]
_expect_ip = _called["X509_VERIFY_PARAM_set1_ip_asc"]
_do_handshake = _called["SSL_do_handshake"]
_read = _called["SSL_read"]
_write = _called["SSL_write"]
_shutdown = _called["SSL_shutdown"]
_in_init = _called["SSL_in_init"]
_get_error = _called["SSL_get_error"]
_get_verify_result = _called["SSL_get_verify_result"]
_clear_errors = _called["ERR_clear_error"]
_peek_error = _called["ERR_peek_error"]
_set_mark = _called["ERR_set_mark"]
_pop_to_mark = _called["ERR_pop_to_mark"]


@inner
def tls_new(context, fd, name, verify):
    """A connection over a connected socket that does not block; its address, or 0 where there was no memory.

    `name` is the address of bytes of `server_name`. A host's name is sent to the server (SNI; RFC 6066 has none for
    IP addresses). With `verify` the certificate must be for that name or IP address.
    """
    if context == 0:
        return 0
    _clear_errors()
    ssl = _new(context)
    if ssl == 0:
        return 0
    _set_connect_state(ssl)
    ok = _set_fd(ssl, fd) == 1
    # OpenSSL itself tells an IP address from a name: it takes the one and not the other.
    is_ip = _expect_ip(_get_param(ssl), name) == 1
    if ok and not is_ip:
        ok = _ctrl(ssl, _CTRL_HOST_NAME, 0, name) == 1
        if ok and verify:
            ok = _expect_host(_get_param(ssl), name, 0) == 1
    if ok:
        return ssl
    _free(ssl)
    return 0


@inner
def tls_handshake(ssl):
    """Go on with the handshake: HANDSHAKE_DONE, HANDSHAKE_AGAIN at the socket's next event, or HANDSHAKE_FAILED."""
    _clear_errors()
    result = _do_handshake(ssl)
    if result == 1:
        return HANDSHAKE_DONE
    return HANDSHAKE_AGAIN if _outcome(ssl, result) == AGAIN else HANDSHAKE_FAILED


@inner
def tls_read(ssl, address, length):
    """Bytes read to the address (one record's at most: 16 KiB), END, AGAIN, or BROKEN.

    END also where the server closed without saying so in TLS, as many do: whether the answer was whole is for HTTP
    to say. AGAIN only when the socket had no more bytes to give: read on until then.
    """
    _clear_errors()
    n = _read(ssl, address, length)
    return n if n > 0 else _outcome(ssl, n)


@inner
def tls_write(ssl, address, length):
    """Bytes written (one record's at most), END, AGAIN, or BROKEN.

    After AGAIN the same bytes must be given again, from any address, and not fewer of them.
    """
    _clear_errors()
    n = _write(ssl, address, length)
    return n if n > 0 else _outcome(ssl, n)


@inner
def _outcome(ssl, result):
    """What it means that a call returned no bytes."""
    why = _get_error(ssl, result)
    if why in (_WANT_READ, _WANT_WRITE):
        return AGAIN
    # OpenSSL 1.1.1 calls an end of the stream that was not announced a failed system call with 0 bytes.
    if why == _ZERO_RETURN or (why == _SYSCALL and result == 0):
        return END
    return BROKEN


@inner
def tls_verify_result(ssl):
    """What was found of the server's certificate: 0, or a number for `tls_error`."""
    return _get_verify_result(ssl)


@inner
def tls_error_code():
    """The error that the last call here left, for `tls_error`; 0 after a BROKEN means that the network failed."""
    return types.int64(_peek_error())


@inner
def tls_free(ssl, clean):
    """Give a connection back, not its socket; `clean` tells the server first that it ends (never after BROKEN)."""
    if clean and _in_init(ssl) == 0:
        _set_mark()
        _shutdown(ssl)
        _pop_to_mark()
    _free(ssl)
