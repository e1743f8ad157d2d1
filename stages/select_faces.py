"""Stage `select_faces@MODEL`: the faces a model is calibrated and measured on, as it sees them."""

from pocketface.core import outs
from pocketface.core.errors import exit_cleanly
from pocketface.core.params import argument, part


@exit_cleanly
def main() -> None:
    """Writes data/views/MODEL from the faces of its datasets and of the hold-out that it has not seen."""
    name = argument("model", "a name under `models:` in params.yaml", __doc__)

    from pocketface.cards import ModelCard, read_card
    from pocketface.faces import seen
    from pocketface.faces.index import FaceSet
    from pocketface.faces.selection import save, select
    from pocketface.training.settings import Plan

    plan = part(Plan)
    stanza = plan.models[name]
    parts = [*plan.trained_on(name), part(str, "holdout")]
    main, *also, holdout = (FaceSet.load(outs.FACES / part) for part in parts)
    crop = read_card(outs.MODELS / name, ModelCard).crop  # a published model's may be another
    known = seen.load(outs.MODELS / name)
    selection = select(main, holdout, stanza.input, also, known, trained_on=crop)
    save(selection, outs.VIEWS / name)
    print(
        f"{name}: {len(selection.calibration.images)} train faces to calibrate on, "
        f"{len(selection.evaluation.pixels)} faces to measure on"
    )


if __name__ == "__main__":
    main()
