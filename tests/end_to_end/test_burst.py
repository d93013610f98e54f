"""Many consumers at once: everything arrives, each consumer's in order, nothing twice."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from tests.end_to_end.brand import eventually, onboard_brand
from tests.stack import Stack

CONSUMERS, EACH = 200, 10


def test_two_thousand_messages_of_two_hundred_consumers_arrive_in_order_and_once(stack: Stack) -> None:
    brand = onboard_brand(stack, name="e2e-burst", account="92000003")

    def write(number: int) -> None:
        for turn in range(EACH):
            said = brand.say(consumer={"id": f"c{number}", "name": f"C {number}"}, text=f"{number}:{turn}")
            assert said["status"] == 200, said

    with ThreadPoolExecutor(max_workers=40) as pool:
        list(pool.map(write, range(CONSUMERS)))

    def texts() -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for conversation in brand.conversations():
            for event in conversation["events"]:
                if event["type"] == "ContentEvent" and event["role"] == "CONSUMER":
                    found[conversation["consumer"]["ext_consumer_id"]].append(event["text"])
        return found

    eventually(lambda: sum(map(len, texts().values())) >= CONSUMERS * EACH, "All arrive", within_s=240)
    assert texts() == {f"custom:c{n}": [f"{n}:{turn}" for turn in range(EACH)] for n in range(CONSUMERS)}
    assert len(brand.conversations()) == CONSUMERS
