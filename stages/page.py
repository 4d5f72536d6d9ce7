"""Bring Vega, which draws the page of `dvc plots show`: with it beside the plots, the page needs no network."""

import vl_convert

from ecg.files import write_bytes
from stages import PLOTS, run


def main() -> None:
    write_bytes(PLOTS / "vega.js", vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").encode())


if __name__ == "__main__":
    run(main)
