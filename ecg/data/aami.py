"""The five classes of beats in ANSI/AAMI EC57: N, S, V, F, Q, and how unlabelled beats are marked."""

from collections.abc import Mapping

UNLABELLED, NORMAL = 0, 1
NAMES: Mapping[int, str] = {UNLABELLED: "unlabelled", NORMAL: "N", 2: "S", 3: "V", 4: "F", 5: "Q"}
