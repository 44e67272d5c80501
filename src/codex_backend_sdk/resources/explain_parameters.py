"""What becomes of the parameters of a call: refused, left out, or sent in another form. Here nothing is raised."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from .._request.shaping import is_absent, shape, shape_item, to_json_data
from .explanation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .._request.shaping import RejectedParameter, ShapedRequest

__all__ = ["Examined", "examine"]

_LEAVE_IT_OUT = "Leave it out, or let `OpenAI(unsupported='drop')` leave it out."


class Examined(NamedTuple):
    """What was found, whether the call is refused, and the parameters that can be sent; None when none can."""

    findings: tuple[Finding, ...]
    is_refused: bool
    accepted: dict[str, Any] | None


def examine(
    given: Mapping[str, Any], *, unknown: Sequence[str] = (), model: str, instructions: str, drops: bool
) -> Examined:
    """Look at the parameters of a call as `shape` does. `unknown` names those that the method does not have.

    `drops`: the client leaves out what the backend refuses. An iterator among the parameters is used up.
    """
    findings = [_unknown(name) for name in unknown]
    try:
        present = {name: to_json_data(value) for name, value in given.items() if not is_absent(value)}
        shaped = shape(present, model=model, instructions=instructions)
    except (TypeError, ValueError) as error:
        findings.append(Finding(level="refused", what="The call cannot be made like this.", why=str(error)))
        return Examined(tuple(findings), is_refused=True, accepted=None)
    findings += [_refused(refusal) for refusal in shaped.required]
    findings += [(_dropped if drops else _refused_or_dropped)(refusal) for refusal in shaped.droppable]
    is_refused = any(finding.level == "refused" for finding in findings)
    findings += _changes(present, shaped)
    out = {refusal.name for refusal in (*shaped.required, *shaped.droppable)}
    accepted = {name: value for name, value in present.items() if name not in out}
    return Examined(tuple(findings), is_refused, accepted)


def _unknown(name: str) -> Finding:
    return Finding(
        level="refused",
        what=f"`responses.create()` has no parameter `{name}`.",
        why="Python answers with a TypeError.",
        remedy="Mind the spelling; what is no official parameter goes into `extra_body`.",
    )


def _refused(refusal: RejectedParameter) -> Finding:
    return Finding(
        level="refused",
        what=f"The backend does not take `{refusal.name}`.",
        why="Without it the call would mean something else, so it is never left out.",
        remedy=f"Instead: {refusal.remedy}.",
    )


def _refused_or_dropped(refusal: RejectedParameter) -> Finding:
    instead = f" Or: {refusal.remedy}." if refusal.remedy else ""
    return Finding(
        level="refused",
        what=f"The backend does not take `{refusal.name}`.",
        why=f"It would answer 400 `Unsupported parameter: {refusal.name}`.",
        remedy=_LEAVE_IT_OUT + instead,
    )


def _dropped(refusal: RejectedParameter) -> Finding:
    return Finding(
        level="dropped",
        what=f"`{refusal.name}` is left out.",
        why="The backend does not take it, and this client has `unsupported='drop'`.",
        remedy=f"Instead: {refusal.remedy}." if refusal.remedy else None,
    )


def _changes(present: Mapping[str, Any], shaped: ShapedRequest) -> Iterator[Finding]:
    body = shaped.body
    if "model" not in present:
        yield _changed(f"No model is given: this client's own, `{body['model']}`, is asked.")
    if "instructions" not in present and "instructions" in body:
        yield _changed("No instructions are given: this client's own are sent.")
    refused = {refusal.name for refusal in (*shaped.droppable, *shaped.required)}
    for name in sorted(present.keys() - body.keys() - refused - {"instructions"}):
        yield Finding(level="note", what=f"`{name}` is left out: its value asks for what happens anyway.")
    yield from _input_changes(present.get("input"))


def _input_changes(given: Any) -> Iterator[Finding]:
    if isinstance(given, str):
        yield _changed("The input is a text: it is sent as a message of the user.")
        return
    changes = Counter(map(_change, given if isinstance(given, list) else [given]))
    if texts := changes["text"]:
        yield _changed(f"{_count(texts, 'text')} in the input: sent as messages of the user.")
    if systems := changes["role"]:
        yield _changed(
            f"{_count(systems, 'message')} of the role `system`: sent with the role `developer`.",
            "The backend refuses system messages; this role means the same.",
        )
    if statuses := changes["status"]:
        yield _changed(f"{_count(statuses, 'reasoning item')} with a status: sent without.", "The backend refuses it.")
    if left_out := changes["left out"]:
        yield Finding(
            level="dropped",
            what=f"{_count(left_out, 'reasoning item')} without the encrypted content: left out.",
            why="With `store=false` the backend cannot look them up: `Item with id 'rs_…' not found`.",
            remedy="Pass reasoning items as they came; this client always asks for their encrypted content.",
        )


def _change(item: Any) -> str | None:
    """Return what becomes of an item, if that is worth telling."""
    if isinstance(item, str):
        return "text"
    sent = shape_item(item)
    if sent is None:
        return "left out"
    if item.get("role") == "system" != sent["role"]:
        return "role"
    return "status" if "status" in item and "status" not in sent else None


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _changed(what: str, why: str = "") -> Finding:
    return Finding(level="changed", what=what, why=why)
