"""Test that errors have the shape of Make's API."""

from __future__ import annotations

from airflow_provider_make.sandbox.refusals import Refusal


def test_a_403_has_the_documented_body() -> None:
    assert Refusal(403).body() == {"detail": "Access denied.", "message": "Permission denied", "code": "SC403"}


def test_a_400_has_the_documented_body() -> None:
    refusal = Refusal(400, ["One.", "Two."])
    assert refusal.body() == {
        "detail": "Validation failed for 2 parameter(s).",
        "message": "Bad Request",
        "code": "SC400",
        "suberrors": [{"message": "One.", "name": "Error"}, {"message": "Two.", "name": "Error"}],
    }
    assert "Two." in str(refusal)


def test_a_429_has_the_message_of_make() -> None:
    refusal = Refusal(429, headers={"Retry-After": "3"})
    assert refusal.message == "Requests limit for organization exceeded, please try again later."
    assert (refusal.code, refusal.headers) == ("SC429", {"Retry-After": "3"})
