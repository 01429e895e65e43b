"""The names of teams, and of their scenarios: those of a trading company that sells in many countries."""

from __future__ import annotations

import random

# Some names have quotes, commas or non-ASCII characters, which clients must store as they are.
TEAMS = ("Sales", "Finance", "Support", "Marketing", "Logistics", "Équipe Données", 'Labs, "EMEA"', "IT")
_ACTIVITIES = (
    ("Leads to CRM", "Quotes for approval", "Contacts, companies, deals", "Daily sales figures", "Notify #sales 🚀"),
    ("Invoice mails", "Payment reminders", "Bank statements", "Expense approvals", "請求書を送信する"),
    ('Route "urgent" tickets', "Tickets to chat", "Returns", "Customer reviews", "Rückerstattungen prüfen"),
    ("Newsletter sign-ups", "Campaign costs", "Social media posts", "Webinar registrations", "Product feed"),
    ("Orders to ERP", "Stock levels", "Shipping labels", "Delivery tracking", "Supplier price lists"),
    ("Exports to warehouse", "Données des ventes", "Currency rates", "Form answers to sheets"),
    ("Meeting notes to wiki", "Document summaries", "Chat assistant", "Sensor readings"),
    ("Employee onboarding", "Access requests", "Backups of drives", "Alerts to on-call", "License renewals"),
)
_MARKETS = (
    *("Australia", "Austria", "Benelux", "Brazil", "Canada", "France", "Germany", "Ireland", "Italy", "Japan"),
    *("Korea", "Mexico", "Nordics", "Poland", "Portugal", "Spain", "Switzerland", "Türkiye", "UK", "US"),
    *("marketplace", "stores", "web shop", "wholesale"),
)


class ScenarioNames:
    """
    Name scenarios, each name once.

    :param choice: Chooses the order of the names.
    """

    def __init__(self, choice: random.Random) -> None:
        self._names = [[f"{name} ({market})" for name in names for market in _MARKETS] for names in _ACTIVITIES]
        for names in self._names:
            choice.shuffle(names)
        self._used = [0] * len(TEAMS)

    def next(self, team: int) -> str:
        """
        Return the next name of a team's scenario.

        :param team: The team's position in ``TEAMS``.
        :return: The name; it ends with a number if the team has a scenario with that name already.
        """
        names = self._names[team]
        used = self._used[team]
        self._used[team] += 1
        name = names[used % len(names)]
        return name if used < len(names) else f"{name} {used // len(names) + 1}"
