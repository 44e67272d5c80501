"""Test the pytest plugin in test runs of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

# The modules that the simulator may import from the client: constants and plain values.
SHARED_MODULES = ("_constants", "_public", "_version", "types")

pytest_plugins = ["pytester"]


def test_fixtures_return_a_simulator_and_a_logged_in_client(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_one(codex_simulator, codex_client):
            codex_simulator.script("scripted")
            assert codex_client.responses.create(input="hi").output_text == "scripted"
            assert codex_simulator.requests[-1].path == "/backend-api/codex/responses"

        def test_two(codex_simulator):
            assert codex_simulator.requests == []
        """
    )
    # Disable pytest-asyncio, which the official tests need, because it warns about its own settings.
    result = pytester.runpytest_subprocess("-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio")
    result.assert_outcomes(passed=2)


def test_marker_makes_requests_fail(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import openai, pytest

        @pytest.mark.codex_faults("status:500", times=2)
        class TestBoth:
            @pytest.mark.codex_faults("rate_limited", "failed:server_error")
            def test_one(self, codex_simulator, codex_client):
                codex_client = codex_client.with_options(max_retries=0)
                for _ in range(2):
                    with pytest.raises(openai.InternalServerError):
                        codex_client.responses.create(input="hi")
                with pytest.raises(openai.RateLimitError):
                    codex_client.responses.create(input="hi")
                with pytest.raises(openai.APIError, match="processing your request"):
                    codex_client.responses.create(input="hi")
                assert codex_client.responses.create(input="Say hello").output_text == "hello"

        def test_two(codex_client):
            assert codex_client.responses.create(input="Say hello").output_text == "hello"

        @pytest.mark.codex_faults("wrong")
        def test_three(codex_simulator):
            pass

        @pytest.mark.codex_faults("status:500")
        def test_four():
            pass

        @pytest.mark.codex_faults("status:500")
        @pytest.mark.usefixtures("codex_client")
        def test_five():
            pass
        """
    )
    result = pytester.runpytest_subprocess("-q", "-W", "error", "--strict-markers", "-p", "no:asyncio")
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(
        ["*Unknown fault: 'wrong'*", "The marker `codex_faults` has no effect. Use the fixture *"]
    )


def test_plugin_is_discovered_and_lists_its_fixtures(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--fixtures", "-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["codex_simulator*", "codex_client*"])


@pytest.mark.parametrize("module", ["codex_backend_sdk.testing", "codex_backend_sdk.testing.plugin"])
def test_import_loads_neither_the_server_nor_openai(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('openai', 'starlette', 'uvicorn', 'rstr') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert run.stdout.strip() == "[]"


def test_public_names_have_docstrings() -> None:
    import codex_backend_sdk.testing as testing

    for name in testing.__all__:
        assert getattr(testing, name).__doc__
    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = testing.nothing


@pytest.mark.parametrize("name", ["Simulator", "serve"])
@pytest.mark.parametrize("package", ["starlette", "uvicorn", "zstandard"])
def test_missing_extra_names_the_install_command(name: str, package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from codex_backend_sdk.testing import {name}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    last_line = run.stderr.strip().splitlines()[-1]
    assert last_line == (
        f"ModuleNotFoundError: {name} needs {package}, which is not installed. "
        "Install the extra `testing` of this package (in a checkout: pip install '.[testing]')."
    )


def test_missing_extra_is_reported_by_the_fixtures(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import sys; sys.modules['starlette'] = None")
    pytester.makepyfile("def test_one(codex_client): pass")
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", "-p", "no:asyncio")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*Simulator needs starlette*pip install '.?testing?'*"])


def test_simulator_shares_no_decoder_with_the_client() -> None:
    """The simulator must not repeat an error of the client's decoders."""
    code = (
        "import sys, codex_backend_sdk.testing as t; [getattr(t, name) for name in t.__all__];"
        "print(*(m for m in sys.modules if m.startswith('codex_backend_sdk.') and '.testing' not in m))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert set(run.stdout.split()) <= {f"codex_backend_sdk.{name}" for name in SHARED_MODULES}
