"""
Delete the embedded PostgreSQL clusters of sites that are no longer there (as root they stand outside the data folder).

Without YES=1 it only says which. A cluster whose data folder exists, or whose server runs, is never touched.
"""

import os
import sys

from connector_site import postgres_home


def main() -> int:
    """Return an exit status."""
    is_sure = os.environ.get("YES") == "1"
    gone = postgres_home.abandoned()
    for name, data_dir in gone.items():
        print(f"{'deleted' if is_sure else 'would delete'} {postgres_home.SYSTEM_ROOT / name}: {data_dir} is gone")
        if is_sure:
            postgres_home.drop(name)
    for name in postgres_home.unrecorded():
        print(
            f"left alone {postgres_home.SYSTEM_ROOT / name}: nothing tells whose it is; delete it by hand if not yours"
        )
    if not gone:
        print("There is no cluster of a data folder that is gone.")
    elif not is_sure:
        print(
            "If none of these data folders was moved, or is on a disk that is not mounted: make clean-databases YES=1"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
