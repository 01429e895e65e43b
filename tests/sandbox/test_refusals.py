"""Test that errors have the shape of Make's API."""

from __future__ import annotations

from airflow_provider_make.sandbox.refusals import Refusal


def test_a_403_has_the_documented_body() -> None:
    assert Refusal(403).body() == {"detail": "Access denied.", "message": "Permission denied", "code": "SC403"}


def test_a_429_has_the_message_of_make() -> None:
    refusal = Refusal(429, retry_after=3)
    assert refusal.message == "Requests limit for organization exceeded, please try again later."
    assert (refusal.code, refusal.retry_after) == ("SC429", 3)


def test_suberrors_are_objects_with_a_message() -> None:
    refusal = Refusal(400, ["One.", "Two."])
    assert refusal.body()["suberrors"] == [{"message": "One."}, {"message": "Two."}]
    assert "Two." in str(refusal)
