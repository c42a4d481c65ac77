"""OpenTelemetry over HTTP: reading what exporters send, and writing our own spans.

Reading is in layers: `wire` and `otlp_json` read bytes, `otlp_protobuf` knows the messages, `signals` are the
values that both make; `observe` and the dialects beside it turn them into `core.observed.Observed`. All but
`sender` is pure. The protobuf reader is our own: it skips what is not needed (prompts above all) and works
in a plain installation, where OTLP's usual encoding would else need another package.
"""
