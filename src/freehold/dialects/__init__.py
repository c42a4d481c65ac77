"""Wire dialects as pure codecs: OpenAI chat completions, Anthropic messages, OpenAI responses, Ollama chat.

Nothing here touches a socket, a clock or a log: bytes in, bytes out. The gateway moves the bytes.
Same dialect on both sides never comes here (the gateway relays it untouched).
"""
