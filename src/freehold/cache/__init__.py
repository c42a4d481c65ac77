"""Answers that need no model: the same request again, a question that means the same, a retry.

`keys` recognises requests, `keeping` says what may be kept, `memory` and `disk` keep it; `flights` and
`retries` share what is still under way; `questions`, `vectors`, `guard` and `semantic` compare meaning;
`answers` is the one door for the gateway. `prompt_marks` helps the providers' own prompt caches. No network
here: `app` brings the embeddings.
"""
