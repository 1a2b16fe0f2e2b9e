"""The access log of an AWS Application Load Balancer as a line format.

Source: Elastic Load Balancing user guide, access logs for Application Load Balancers: fields in order, new ones
are added at the end; `time` is when the response was sent, `request_creation_time` (field 22) when the request was
received.
"""

from __future__ import annotations

import re

from seawall.traffic.logs.lineformat import Field, LineFormat, Role

_TEXT = rb'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
_MOMENT = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"

ALB = LineFormat(
    name="alb",
    fields=(
        Field("client:port", Role.ADDRESS),
        Field("request_processing_time", Role.DURATION),
        Field("target_processing_time", Role.DURATION),
        Field("response_processing_time", Role.DURATION),
        Field("elb_status_code", Role.STATUS),
        Field("sent_bytes", Role.SIZE),
        Field("request", Role.REQUEST),
        Field("user_agent", Role.AGENT),
        Field("request_creation_time", Role.STAMP),
        Field("request_creation_time", Role.FRACTION),
    ),
    whole=re.compile(
        rb"^(?:https?|h2|grpcs|wss?) "  # type
        rb"[^ \n]+ [^ \n]+ "  # time elb
        rb"([^ \n]+):\d+ [^ \n]+ "  # client:port target:port
        rb"(-1|\d+(?:\.\d+)?) (-1|\d+(?:\.\d+)?) (-1|\d+(?:\.\d+)?) "  # the three processing times
        rb"(\d{3}|-) (?:\d{3}|-) \d+ (\d{1,18}) "  # elb_status_code target_status_code received_bytes sent_bytes
        rb'"([^"\\\n]*(?:\\.[^"\\\n]*)*)" "([^"\\\n]*(?:\\.[^"\\\n]*)*)" '  # request user_agent
        rb"[^ \n]+ [^ \n]+ [^ \n]+ "  # ssl_cipher ssl_protocol target_group_arn
        rb"(?:"
        + _TEXT
        + rb"|-) (?:"
        + _TEXT
        + rb"|-) (?:"
        + _TEXT
        + rb"|-) "  # trace_id domain_name chosen_cert_arn
        rb"[^ \n]+ "  # matched_rule_priority
        rb"(" + _MOMENT + rb")(\.\d+)?Z"  # request_creation_time
        rb"(?: [^\n]*)?$",
        re.MULTILINE,
    ),
    expected=(
        "a line of an Application Load Balancer's log begins like `https 2018-07-02T22:23:00.186641Z app/name/50dc6c49 "
        '192.0.2.1:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/ HTTP/1.1"` '
        "and has a request_creation_time"
    ),
)
