"""How predictions are shown: as widgets only. Front ends without widgets show nothing, and nbval compares nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orderkit.course.questions import CHOICES

if TYPE_CHECKING:
    import ipywidgets as widgets

    from orderkit.lessons.predictions import Predictions

_MIME = "application/vnd.jupyter.widget-view+json"
_MISSING = "not predicted"


class Buttons:
    """`a`, `b`, `c` under a question. A click remembers the choice, and shows it; it does not say what is right."""

    def __init__(self, predictions: Predictions, round: str) -> None:
        self._predictions = predictions
        self._round = round
        self.buttons: dict[str, widgets.Button] = {}
        self.told: widgets.HTML | None = None

    def make(self) -> widgets.HBox:
        """The widgets."""
        import ipywidgets as widgets

        for choice in CHOICES:
            layout = widgets.Layout(width="3.5em")
            button = widgets.Button(description=choice, tooltip=f"I predict {choice}", layout=layout)
            button.on_click(lambda pressed: self._choose(pressed.description))
            self.buttons[choice] = button
        self.told = widgets.HTML()
        self._show()
        row = widgets.HBox([widgets.HTML("I predict&nbsp;"), *self.buttons.values(), self.told])
        row.add_class("orderkit-prediction")  # orderkit/stack/labextension lets a click leave the active cell
        return row

    def _choose(self, choice: str) -> None:
        self._predictions.choose(self._round, choice)
        self._show()

    def _show(self) -> None:
        """Buttons as the state is."""
        chosen = self._predictions.choice(self._round)
        for choice, button in self.buttons.items():
            button.button_style = "primary" if choice == chosen else ""
        if self.told is not None:
            self.told.value = f"&nbsp;You predict <b>{chosen}</b>. Now run the next cell." if chosen else ""

    def __repr__(self) -> str:
        return f"predicted: {self._predictions.choice(self._round) or 'nothing yet'}"

    def _ipython_display_(self) -> None:
        _display(self.make())


class Score:
    """`You predicted 3 of 5 right`, and each round; nothing before the first prediction."""

    def __init__(self, predictions: Predictions) -> None:
        self._predictions = predictions

    def text(self) -> str:
        """As one line of text for each round, below a summary."""
        made = {prediction.round: prediction for prediction in self._predictions.made}
        if not made:
            return ""
        right = sum(prediction.right for prediction in made.values())
        lines = [f"You predicted {right} of {len(made) + len(self._predictions.missing)} right."]
        for name, prediction in made.items():
            sign = "✔" if prediction.right else "✖"
            instead = "" if prediction.right else f"; it was {self._predictions.right(name)}"
            lines.append(f"{sign} {_title(name)}: {prediction.choice}{instead}")
        return "\n".join([*lines, *(f"– {_title(name)}: {_MISSING}" for name in self._predictions.missing)])

    def __repr__(self) -> str:
        return self.text() or "no predictions yet"

    def _ipython_display_(self) -> None:
        if text := self.text():
            import ipywidgets as widgets

            first, *rounds = text.split("\n")
            lines = "<br>".join([f"<b>{first}</b>", *rounds])
            _display(widgets.HTML(f'<div style="font-size:115%;line-height:1.7">{lines}</div>'))


def _title(name: str) -> str:
    return f"round {name}" if name[0].isdigit() else name


def _display(widget: Any) -> None:
    """Without the usual text beside it: where no widget can be shown, nothing is."""
    from orderkit.lab.progress import displayer

    if display := displayer():
        display({_MIME: widget._repr_mimebundle_()[_MIME]}, raw=True)
