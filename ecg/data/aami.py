"""The five classes of beats in ANSI/AAMI EC57: N, S, V, F, Q, and one for beats without a label."""

from collections.abc import Mapping

UNLABELLED, NORMAL = 0, 1
NAMES: Mapping[int, str] = {UNLABELLED: "unlabelled", NORMAL: "N", 2: "S", 3: "V", 4: "F", 5: "Q"}
