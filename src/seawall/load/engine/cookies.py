"""Cookies of one user: what `Set-Cookie` says goes into a jar, which holds the `Cookie` header as it is sent.

A jar is an array of bytes: two for the length of the text (little-endian), then the text, `a=b; c=d`. All zero is
an empty one. The rules are RFC 6265, section 5.2, for a user of a single host: `Domain`, `Path` and `Secure` are
not looked at. There is no calendar here: a date before 2000 removes a cookie, as frameworks do it (1970), any other
does not.

Bytes are named by their addresses: arrays as arguments cost more than the work on them (compiled/rows.py).
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
import sys
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from seawall.compiled.functions import inlined, inner

_TAB, _LF, _CR, _SPACE = 9, 10, 13, 32
_SEMICOLON, _EQUALS, _COLON, _DASH = 59, 61, 58, 45
_ZERO, _NINE = 48, 57
_DELETE = 127
_PREFIX = 2
"""Bytes of a jar's length."""
_LONGEST = 0xFFFF
_YEAR_OF_DELETION = 2000

_intrinsic: Any = intrinsic
_memmove: Any = types.ExternalFunction("memmove", types.intp(types.intp, types.intp, types.int64))


# --- bytes and words, for heads of responses too ---------------------------------------------------------------


@_intrinsic
def address_of(typing_context: Any, array: Any) -> Any:
    """The address of an array's first item."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.int64(array), code


@_intrinsic
def byte_at(typing_context: Any, address: Any) -> Any:
    """The byte at an address."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
        return builder.zext(builder.load(place), ir.IntType(64))

    return types.int64(types.int64), code


@_intrinsic
def put_byte(typing_context: Any, address: Any, byte: Any) -> Any:
    """Write a byte to an address."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
        builder.store(builder.trunc(args[1], ir.IntType(8)), place)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64), code


def word(text: bytes, any_case: bool = True) -> Any:
    """An intrinsic (at, end) -> the address after `text` where it lies at `at`, else 0.

    Compared are whole words of the machine, in which a letter of either case is made a small one by one bit.
    """
    text = text.lower() if any_case else text

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at, end = args
        # Nothing is read where there is no room for the word.
        fits = builder.icmp_signed(">=", builder.sub(end, at), at.type(len(text)))
        before = builder.block
        with builder.if_then(fits):
            same = ir.Constant(ir.IntType(1), 1)
            done = 0
            while done < len(text):
                size = next(n for n in (8, 4, 2, 1) if done + n <= len(text))
                part = text[done : done + size]
                case = bytes(0x20 if any_case and byte in range(97, 123) else 0 for byte in part)
                kind = ir.IntType(8 * size)
                place = builder.inttoptr(builder.add(at, at.type(done)), kind.as_pointer())
                found = builder.or_(builder.load(place, align=1), kind(int.from_bytes(case, sys.byteorder)))
                equal = builder.icmp_unsigned("==", found, kind(int.from_bytes(part, sys.byteorder)))
                same = builder.and_(same, equal)
                done += size
            after = builder.select(same, builder.add(at, at.type(len(text))), at.type(0))
            inside = builder.block
        result = builder.phi(at.type)
        result.add_incoming(at.type(0), before)
        result.add_incoming(after, inside)
        return result

    @_intrinsic
    def after_word(typing_context, at, end):
        return types.int64(types.int64, types.int64), code

    return after_word


_max_age, _expires = word(b"max-age"), word(b"expires")


@inlined
def is_blank(byte):
    """Whether a byte is white space, or the end of a line (which a value may go on after)."""
    return byte <= _SPACE and (byte == _SPACE or byte == _CR or byte == _LF or byte == _TAB)


@inlined
def is_digit(byte):
    """Whether a byte is a decimal digit."""
    return byte >= _ZERO and byte <= _NINE


@inner
def skip_blanks(at, end):
    """The address of the first byte from `at` on that is no blank."""
    while at < end and is_blank(byte_at(at)):
        at += 1
    return at


@inner
def trim(begin, end):
    """The end without the blanks before it."""
    while end > begin and is_blank(byte_at(end - 1)):
        end -= 1
    return end


@inner
def after_separator(at, end, separator):
    """The address after a separator and blanks before it; 0 where something else is there, or `at` is 0."""
    if at == 0:
        return 0
    at = skip_blanks(at, end)
    return at + 1 if at < end and byte_at(at) == separator else 0


@inner
def find(at, end, byte):
    """The address of a byte from `at` on, `end` where there is none."""
    while at < end and byte_at(at) != byte:
        at += 1
    return at


# --- the jar ---------------------------------------------------------------------------------------------------


@inner
def set_cookie(jar, size, begin, end):
    """Do what one value of `Set-Cookie` says: keep the cookie, in place of one of its name, or remove that one.

    `jar` and `size` are the jar's address and bytes, `begin` and `end` the value's addresses. What is no cookie (no
    `=`, no name, control characters) is passed over. A cookie that does not fit is not kept; the old one of its
    name is gone all the same, as its value holds no more.
    """
    name = skip_blanks(begin, end)
    stop = find(name, end, _SEMICOLON)
    equals = find(name, stop, _EQUALS)
    name_end = trim(name, equals)
    if equals == stop or name_end == name or size < _PREFIX:
        return
    value_end = trim(equals + 1, stop)
    value = skip_blanks(equals + 1, value_end)
    # The text goes out in a request: a line end in it would end the header.
    for at in range(name, value_end):
        byte = byte_at(at)
        if (byte < _SPACE and byte != _TAB) or byte == _DELETE:
            return
    used = _remove(jar, name, name_end - name)
    if not _is_removal(stop, end):
        used = _append(jar, min(size - _PREFIX, _LONGEST), used, name, name_end, value, value_end)
    put_byte(jar, used & 0xFF)
    put_byte(jar + 1, used >> 8)


@inner
def _remove(jar, name, length):
    """Take the cookie of a name out of the text; the length that is left."""
    text = jar + _PREFIX
    end = text + (byte_at(jar) | byte_at(jar + 1) << 8)
    at = text
    while at < end:
        stop = find(at, end, _SEMICOLON)
        same = stop - at > length and byte_at(at + length) == _EQUALS
        i = 0
        while same and i < length:
            same = byte_at(at + i) == byte_at(name + i)
            i += 1
        if same and stop < end:
            # With the "; " behind it.
            _memmove(at, stop + 2, end - stop - 2)
            return end - text - (stop + 2 - at)
        if same:
            # The last one: with the "; " before it.
            return max(0, at - 2 - text)
        at = stop + 2
    return end - text


@inner
def _append(jar, room, used, name, name_end, value, value_end):
    """Put a cookie behind the text where there is room; the length of the text then."""
    first = used == 0
    longer = (0 if first else 2) + (name_end - name) + 1 + (value_end - value)
    if used + longer > room:
        return used
    at = jar + _PREFIX + used
    if not first:
        put_byte(at, _SEMICOLON)
        put_byte(at + 1, _SPACE)
        at += 2
    _memmove(at, name, name_end - name)
    at += name_end - name
    put_byte(at, _EQUALS)
    _memmove(at + 1, value, value_end - value)
    return used + longer


# --- what removes a cookie -------------------------------------------------------------------------------------


@inner
def _is_removal(at, end):
    """Whether attributes, from the `;` at `at` on, remove it: `Max-Age`, or else `Expires`; the last of each."""
    age = -1
    year = -1
    while at < end:
        begin = skip_blanks(at + 1, end)
        at = find(begin, end, _SEMICOLON)
        value = after_separator(_max_age(begin, at), at, _EQUALS)
        if value != 0:
            found = _age(value, at)
            age = found if found >= 0 else age
            continue
        value = after_separator(_expires(begin, at), at, _EQUALS)
        if value != 0:
            found = _year(value, at)
            year = found if found >= 0 else year
    return age == 0 if age >= 0 else year >= 0 and year < _YEAR_OF_DELETION


@inner
def _age(begin, end):
    """1 for a whole number of 1 or more, 0 for one of 0 or less, -1 for anything else."""
    begin = skip_blanks(begin, end)
    end = trim(begin, end)
    if begin == end:
        return -1
    negative = byte_at(begin) == _DASH
    age = 0
    for at in range(begin + 1 if negative else begin, end):
        byte = byte_at(at)
        if not is_digit(byte):
            return -1
        if byte != _ZERO and not negative:
            age = 1
    return age


@inner
def _year(begin, end):
    """The year of a date in any of the forms in use, -1 where there is none.

    It is the first number of three digits or more that is no part of a time of day, or else the second of one
    or two; of these, 70 to 99 belong to the last century (RFC 6265, 5.1.1).
    """
    numbers = 0
    at = begin
    while at < end:
        start = at
        number = 0
        while at < end and is_digit(byte_at(at)):
            number = min(number * 10 + byte_at(at) - _ZERO, _LONGEST)
            at += 1
        in_time = (start > begin and byte_at(start - 1) == _COLON) or (at < end and byte_at(at) == _COLON)
        if at > start and not in_time:
            numbers += 1
            if at - start > 2:
                return number
            if numbers == 2:
                return number + (1900 if number >= 70 else 2000)
        at += 1
    return -1
