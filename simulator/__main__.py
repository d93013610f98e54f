"""`python -m simulator`: a local LivePerson."""

import argparse
import logging
import sys
from pathlib import Path

from .server import run


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="simulator", description="A local LivePerson for tests and first steps.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100, help="plain HTTP; 0 takes any free port")
    parser.add_argument("--tls-port", type=int, default=8143, help="HTTPS with a certificate of its own; 0 = none")
    parser.add_argument("--data-dir", type=Path, default=Path("var/simulator"))
    given = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    run(host=given.host, port=given.port, tls_port=given.tls_port, data_dir=given.data_dir)


if __name__ == "__main__":
    main()
