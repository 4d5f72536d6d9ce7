"""A real normal beat, which series are made of."""

from tests.hearts.conftest import shape, toy_heart  # noqa: F401 - fixtures of hearts that are made
