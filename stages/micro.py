"""Stage `micro@MODEL`: its variants in TensorFlow Lite Micro, and compiled for an Ethos-U by Arm's Vela."""

from pocketface.core import outs
from pocketface.core.errors import exit_cleanly
from pocketface.core.params import argument


@exit_cleanly
def main() -> None:
    """Makes micro/MODEL from variants/MODEL."""
    name = argument("model", "a name under `micro:` in params.yaml", __doc__)

    from pocketface.micro.measure import measure
    from pocketface.tflite.runtimes import MICRO

    for card in measure(outs.VARIANTS / name, outs.VIEWS / name, outs.MICRO / name):
        runs = "runs" if card.runtimes[MICRO].runs else "does not run"
        npu = f", {card.npu.cycles:,} cycles on an NPU" if card.npu and card.npu.file else ""
        print(f"{name}/{card.level}: {MICRO} {runs}{npu}")


if __name__ == "__main__":
    main()
