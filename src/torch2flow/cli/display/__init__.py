"""What a person sees: tables, trees, summaries and the progress bar, in rich's hands."""

from torch2flow.cli.display.checkpoint import show_inspection, show_tree
from torch2flow.cli.display.comparison import show_diff, show_predictions, show_verification
from torch2flow.cli.display.conversion import show_capture, show_check, show_note, show_result, show_twin
from torch2flow.cli.display.listings import show_doctor, show_estimate, show_operators, show_zoo
from torch2flow.cli.display.port import show_port
from torch2flow.cli.display.progress import conversion_progress, progress_bar, steps
from torch2flow.cli.display.script import show_script

__all__ = [
    "conversion_progress",
    "progress_bar",
    "show_capture",
    "show_check",
    "show_diff",
    "show_doctor",
    "show_estimate",
    "show_inspection",
    "show_note",
    "show_operators",
    "show_port",
    "show_predictions",
    "show_result",
    "show_script",
    "show_tree",
    "show_twin",
    "show_verification",
    "show_zoo",
    "steps",
]
