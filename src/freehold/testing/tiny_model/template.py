"""The tiny model's chat template: ChatML with tools, and the choice of what to say.

The network recites; this template chooses. It ends a prompt with the selector of a text (see
`scripts.selector`), or, for the default text, with an empty thought as templates of reasoning models
write it when thinking is off: the engine then holds the answer to a JSON schema from its first token.
The rules:

1. a user message with a keyword selects the keyword's text;
2. a tool's answer selects the closing text, so that an agent's turn ends after one call;
3. an assistant message without tool calls ends the turn: back to the default text;
4. any other message changes nothing (agents add reminders and late system messages).
"""

from __future__ import annotations

from freehold.testing.tiny_model import scripts

_TEXT = """\
{%- macro text_of(content) -%}
{%- if content is string -%}{{ content }}
{%- elif content is iterable -%}
{%- for part in content -%}{%- if part.text is string -%}{{ part.text + '\\n' }}{%- endif -%}{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
"""

_TOOLS = """\
{%- if tools -%}
{{- '<|im_start|>system\\n# Tools\\n\\nYou may call functions. Their signatures:\\n<tools>' -}}
{%- for tool in tools -%}{{- '\\n' + (tool | tojson) -}}{%- endfor -%}
{{- '\\n</tools>\\n\\nTo call one, answer with:\\n<tool_call>\\n{"name": NAME, "arguments": OBJECT}\\n' -}}
{{- '</tool_call><|im_end|>\\n' -}}
{%- endif -%}
"""

_MESSAGES = """\
{%- set turn = namespace(say='') -%}
{%- for message in messages -%}
{%- set content = text_of(message.content) -%}
{%- if message.role == 'assistant' -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if message.reasoning_content -%}
{{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' -}}
{%- endif -%}
{{- content -}}
{%- for call in message.tool_calls or [] -%}
{%- if call.function -%}{%- set call = call.function -%}{%- endif -%}
{{- '\\n<tool_call>\\n{"name": "' + call.name + '", "arguments": ' -}}
{{- call.arguments if call.arguments is string else (call.arguments | tojson) -}}
{{- '}\\n</tool_call>' -}}
{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- if not message.tool_calls -%}{%- set turn.say = '' -%}{%- endif -%}
{%- elif message.role == 'tool' -%}
{{- '<|im_start|>user\\n<tool_response>\\n' + content + '\\n</tool_response><|im_end|>\\n' -}}
{%- set turn.say = '@after' -%}
{%- else -%}
{{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' -}}
{%- if message.role == 'user' -%}
@keywords
{%- endif -%}
{%- endif -%}
{%- endfor -%}
"""

_PROMPT = """\
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if turn.say == 'tool' -%}
{%- set turn.say = '@any' if tools else '@none' -%}
{%- for name in @names -%}
{%- for tool in tools or [] -%}
{%- if (tool.function or tool).name == name and turn.say == '@any' -%}
{%- set turn.say = 'tool:' + name -%}
{%- endif -%}
{%- endfor -%}
{%- endfor -%}
{%- endif -%}
{{- '<|say:' + turn.say + '|>' if turn.say else '<think>\\n\\n</think>\\n\\n' -}}
{%- endif -%}
"""


def chat_template() -> str:
    """The Jinja text that goes into the model file."""
    keywords = "\n".join(
        f"{{%- if '{word}' in content -%}}{{%- set turn.say = '{word.removeprefix('@@')}' -%}}{{%- endif -%}}"
        for word in scripts.KEYWORDS
    )
    return (
        (_TEXT + _TOOLS + _MESSAGES + _PROMPT)
        .replace("@keywords", keywords)
        .replace("@names", repr(list(scripts.TOOL_CALLS)))
        .replace("@after", scripts.AFTER_TOOL)
        .replace("@any", scripts.ANY_TOOL)
        .replace("@none", scripts.NO_TOOL)
    )
