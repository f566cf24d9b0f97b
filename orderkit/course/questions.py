"""The right choice of each question, by lesson and round. The questions themselves stand in the lessons' text."""

from __future__ import annotations

from collections.abc import Mapping

CHOICES = ("a", "b", "c")

ANSWERS: Mapping[str, Mapping[str, str]] = {
    "00": {"1": "b", "2": "a", "3": "c", "4": "b", "5": "c"},
    "01": {"1": "b", "2": "a", "3": "c", "4": "b", "5": "a", "5b": "c"},
    "02": {"1": "c", "1b": "b", "2": "c", "3": "a", "4": "b", "5": "a"},
    "03": {"1": "a", "2": "c", "3": "b", "4": "c", "5": "b"},
    "04": {"1": "a", "2": "c", "3": "b", "4": "c", "5": "b"},
    "05": {"1": "b", "2": "c", "3": "a", "4": "b", "5": "b"},
    "06": {"1": "b", "2": "a", "3": "b", "4": "c", "5": "b"},
    "07": {
        "polite-cancel": "b",
        "free-tea": "c",
        "old-label": "b",
        "deaf-order": "c",
        "hard-deadline": "a",
        "early-news": "b",
        "mended": "b",
    },
    "08": {"1": "b", "2": "b", "2b": "a", "3": "c", "4": "a", "5": "c"},
    "09": {"1": "b", "2": "c", "3": "a", "4": "b", "5": "c", "5b": "a"},
    "10": {"1": "c", "2": "a", "3": "c", "4": "b", "5": "b"},
    "11": {"1": "b", "2": "a", "3": "c", "4": "b", "5": "c"},
    "12": {"1": "b", "2": "c", "3": "a", "4": "b"},
}
