"""Shared value types, errors, ports, configuration. Knows no other room and does no I/O
(except `config_file`, which reads the one YAML file)."""
