"""What commands print, and where they find a model."""

from pathlib import Path
from typing import Any

MODELS = Path("models")


def add_models(command: Any) -> None:
    """Let a command name the folder of the model."""
    command.add_argument("--models", default=MODELS, type=Path, help="folder of the model (default: models)")


def print_aligned(section: dict[str, Any], indent: str = "") -> None:
    """Print names and values in two columns."""
    width = max(map(len, section), default=0)
    for name, value in section.items():
        print(f"{indent}{name:<{width}}  {value}")
