"""Markdown as models write it, with what is hard to stream."""

from __future__ import annotations

SAMPLES = {
    "paragraphs": (
        "Some **bold text**, *italic*, ~~old~~ and `inline code` with a [link](https://example.com/a/long/path), "
        "<https://auto.example/x> and https://bare.example. It is long enough to wrap on most terminals: 5*3=15, "
        "2 * 3, snake_case_name, a \\* star, [brackets] and [more][1].\nSecond line,  \nhard break.\n\n"
        "An `unclosed delimiter and **another, at the end."
    ),
    "headings": "# One *two*\n\nText\n## Three\nText\n\n### Four ###\n",
    "code": '```python\ndef f(x):\n    """Doc\n\n    string"""\n    return x  # comment\n\n\tpass\n```\nAfter.\n',
    "code in a list": (
        "1. Install:\n   ```bash\n   pip install x\n   ```\n   and then **go on** with text that wraps.\n"
        "2. Run:\n\n   ```\n   run\n\n   more\n   ```\n3. Done\n"
    ),
    "code in a nested list": "- a\n  - b\n    ```py\n    x = 1\n    ```\n  - c\n- d\n\nText.\n",
    "code without an end": "Text\n~~~\ncode `x\n",
    "fence after a marker": "- ```sh\n  ls\n  ```\n- next\n",
    "longer fence": "````md\n```\ninner\n```\n````\n",
    "lists": (
        "Text before:\n* one\n* two **bold** words that are long enough to wrap when the terminal is narrow\n"
        "  1. nested\n  2. nested\n* three\n\n- loose\n\n- list\n\n  with a paragraph\n\n10. ten\n11. eleven\n"
        "-\n- after an empty one\n"
    ),
    "tables": (
        "Text\n\n| Name | Value | Comment |\n|------|------:|---------|\n| a | 1 | short |\n"
        "| 中文 | `22` | a **longer** comment that must wrap, withoneveryveryverylongword |\n| e | | |\n\nAfter.\n"
    ),
    "table of headings": "| Only | Headings |\n|---|---|\n",
    "quotes": "> A quote that\n> goes **on and** on.\n>\n> - with a list\n>\n> ```\n> and code\n> ```\n\nAfter.\n",
    "wide characters": (
        "这是一个很长的中文段落,没有任何空格,所以必须在字符之间换行。它还包含**重点**内容和一些English单词。\n\n"
        "日本語の「引用」と、句読点。カタカナ・ひらがな。\n\n한국어 문장은 띄어쓰기가 있습니다. 🎉 👩‍💻 🇩🇪 done ✅\n"
    ),
    "rules": "One\n\n---\n\nTwo\n***\nThree\n---\nFour\n",
    "html": "A <b>tag</b> & an &amp; entity.\n\n<div>\nblock\n</div>\n\n[1]: https://example.com\n",
    "indented code": "Text\n\n    code()\n    more()\n\nAfter ![image](https://example.com/i.png).\n",
    "math": "Let $a_i$ and $$x^2 * y_1$$ be\n\n\\[ a_b \\]\n",
    "blank lines": "\n\n\nOne\n\n\n\nTwo\n\n\n",
    "empty": "",
}
