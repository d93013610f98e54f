"""Forms of rows that several people may have open at once."""

from __future__ import annotations

from typing import Any

from django import forms


class FreshForm(forms.ModelForm):
    """
    Of a row that several people may have open: who would overwrite what somebody else has changed since is told.

    version: of the row as it is stored now, by `version_of`. seen: of the row as the page showed it.
    """

    @staticmethod
    def version_of(row: Any) -> str:
        """Names what of a row people change, as it is now."""
        raise NotImplementedError

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_new = self.instance._state.adding
        self.version = "" if is_new else self.version_of(self.instance)
        self.seen = self.data.get("seen", "") if self.is_bound else self.version

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.version and self.seen and self.seen != self.version:
            # What is sent once more was entered in the face of what is told here.
            self.seen = self.version
            raise forms.ValidationError(
                f"Somebody has changed this since you opened it, so nothing was stored. {self._stored()} "
                "What you entered stands below: look at it, then save again."
            )
        return cleaned

    def _stored(self) -> str:
        differing = [
            f"{self.fields[name].label}: {_in_words(self.get_initial_for_field(self.fields[name], name))}"
            for name in self.changed_data
            if name in self.fields
        ]
        return f"Stored now is {'; '.join(differing)}." if differing else ""


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value or "empty")


__all__ = ["FreshForm"]
