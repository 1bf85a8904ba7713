"""Mends of ministack's SQS."""

from contextvars import ContextVar
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.router import extract_access_key_id
from ministack.services import lambda_svc, sqs


def batches_need_no_action_of_their_own() -> None:
    """AWS authorises SendMessageBatch as sqs:SendMessage (likewise Delete and ChangeVisibility);
    ministack asks for sqs:SendMessageBatch, an action that does not exist.

    Hosts and functions are granted the real actions only.
    """
    extract = iam_actions.extract_iam_action

    def extract_iam_action(service: str, *request: Any) -> Any:
        action = extract(service, *request)
        return action.removesuffix("Batch") if service == "sqs" and action else action

    iam_actions.extract_iam_action = extract_iam_action


def sender_id_names_the_caller() -> None:
    """On AWS a message's SenderId is the unique id of who sent it (AIDA…, or AROA…:session);
    ministack gives the account's number, both to receivers and to a Lambda function.

    A state carries the SenderId as an annotation, so that an investigation can tell hosts apart.
    """
    access_key: ContextVar[str] = ContextVar("rwm_access_key", default="")
    pin, attributes_of, dispatch = (
        iam_evaluator.pin_request_caller,
        sqs._build_send_sys_attrs,
        lambda_svc._dispatch_esm_batch,
    )

    def pin_request_caller(headers: dict[str, str], params: dict[str, Any] | None = None) -> None:
        access_key.set(extract_access_key_id(headers, params or {}) or "")
        pin(headers, params)

    def build_send_sys_attrs(now: float, given: dict[str, Any]) -> dict[str, Any]:
        attributes: dict[str, Any] = attributes_of(now, given)
        caller = iam_evaluator.resolve_caller_identity(access_key.get())
        return {**attributes, "SenderId": caller["userId"]} if caller else attributes

    def dispatch_esm_batch(esm_id: str, run: Any, esm: Any, function: Any, event: Any, batch: Any, *rest: Any) -> None:
        senders = {message["id"]: message["sys"]["SenderId"] for message in batch if "sys" in message}
        for record in event.get("Records", []):
            if sender := senders.get(record.get("messageId")):
                record["attributes"]["SenderId"] = sender
        dispatch(esm_id, run, esm, function, event, batch, *rest)

    iam_evaluator.pin_request_caller = pin_request_caller
    sqs._build_send_sys_attrs = build_send_sys_attrs
    lambda_svc._dispatch_esm_batch = dispatch_esm_batch


MENDS = (batches_need_no_action_of_their_own, sender_id_names_the_caller)
