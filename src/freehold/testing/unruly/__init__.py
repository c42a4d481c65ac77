"""A model server that misbehaves by flags, for tests of what keeps it: a real process, real signals.

    python -m freehold.testing.unruly --port 8081 --die-after 3-calls --how segfault

It answers `/health` (503 while it loads), `/v1/models`, `/v1/chat/completions` (streamed or not) and
`/completion`, as llama.cpp's server does, with one made-up word for each token. `flags` is what it can be
told, `ends` how it dies, `server` what it answers. It needs nothing but the standard library.
"""
