"""HAProxy's HTTP log (`option httplog`) as a line format, behind any syslog header or none.

Source: HAProxy 2.x configuration manual, chapter 8 (HTTP log format, timers, escaping): `%tr` in brackets is the
moment at which the request was ready to be received, in milliseconds and local time; Ta is the time from there to
the end.
"""

from __future__ import annotations

import re

from seawall.traffic.logs.lineformat import Field, LineFormat, Role
from seawall.traffic.logs.requestline import unhashed

_HEAD = (
    rb"^(?:[^\n]{0,512}? )??"  # syslog's header
    rb"([0-9A-Fa-f.:]+|unix|-):\d+ "  # %ci:%cp
    rb"\[(\d\d/[A-Za-z]{3}/\d{4}:\d\d:\d\d:\d\d)(\.\d{1,6})?\] "  # [%tr]
    rb"[^ \n]+ [^ \n/]+/[^ \n]+ "  # %ft %b/%s
    rb"-?\d+/-?\d+/-?\d+/-?\d+/([+-]?\d+) "  # %TR/%Tw/%Tc/%Tr/%Ta
    rb"(-1|\d{3}) \+?(\d{1,18}) "  # %ST %B
    rb"([^ \n]+) [^ \n]+ [^ \n]{2,4} "  # %CC %CS %tsc
    rb"\d+/\d+/\d+/\d+/\+?\d+ \d+/\d+ "  # %ac/%fc/%bc/%sc/%rc %sq/%bq
    rb"(?:\{[^}\n]*\} ?){0,2}"  # %hr %hs
)

HAPROXY = LineFormat(
    name="haproxy",
    fields=(
        Field("%ci", Role.ADDRESS),
        Field("%tr", Role.STAMP),
        Field("%tr", Role.FRACTION),
        Field("%Ta", Role.DURATION, scale=1e-3),
        Field("%ST", Role.STATUS),
        Field("%B", Role.SIZE),
        Field("%CC", Role.COOKIE),
        Field("%r", Role.REQUEST),
    ),
    whole=re.compile(_HEAD + rb'"([^"\n]*)"[^\n]*$', re.MULTILINE),
    # A line that is longer than the log's `len` (1024 bytes by default) ends within the request.
    cut=re.compile(_HEAD + rb'"([^"\n]+)(?P<end>")?(?P<rest>)$'),
    unescape=unhashed,
    expected=(
        "a line of HAProxy's httplog is like `haproxy[14389]: 192.0.2.1:33317 [06/Feb/2009:12:14:14.655] http-in "
        'static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1"`'
    ),
)
