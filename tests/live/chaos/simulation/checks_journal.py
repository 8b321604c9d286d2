"""I7, I15, I16: the journal's file is whole, keeps every promise, tells no secret, and replays to the same state."""

from __future__ import annotations

from collections.abc import Iterator

from data.errors import JournalError
from live.core.core import Core
from live.journal import SqliteJournal
from live.replay import replay

from .route import CANARY
from .trail import Trail
from .world import Evidence


def whole_and_kept(evidence: Evidence, trail: Trail) -> Iterator[str]:
    """I7: a chain without a gap, with every record that a commit promised; nothing is sent after a failed write."""
    if evidence.damaged:
        if evidence.up and trail.faults:
            yield f"the process goes on over a damaged journal: {trail.faults[0]}"
        return
    yield from trail.faults
    for seq, checksum in evidence.promises:
        if seq >= len(trail.checksums):
            yield f"record {seq} was promised and is gone; the last is {len(trail.checksums) - 1}"
            return
        if trail.checksums[seq] != checksum:
            yield f"record {seq} is not the one that was promised"
            return
    for ts, life in evidence.refusals:
        late = [receipt for receipt in evidence.venue.receipts if receipt.life == life and receipt.left > ts]
        if late:
            yield f"order {late[0].key} left after the disk had refused a write"
            return


def no_secret(evidence: Evidence, trail: Trail) -> Iterator[str]:
    """I15: the token is nowhere but in its place."""
    canary = CANARY.encode()
    if any(canary in body for body in trail.bodies):
        yield "the token is in the journal"
    said = [alert.text for _, _, alert in evidence.alerts] + evidence.errors
    if any(CANARY in text for text in said):
        yield "the token is in what was told to people"
    if evidence.up and CANARY in repr((evidence.final, evidence.final.broker, evidence.final.broker.route)):
        yield "the token is in a repr"


def replays(evidence: Evidence, trail: Trail) -> Iterator[str]:
    """I16: the journal gives the same commands and the same state again."""
    if trail.faults:
        return
    try:
        journal = SqliteJournal.open(evidence.journal)
    except JournalError as error:
        yield f"it does not open again: {error}"
        return
    try:
        done = replay(Core(evidence.plan, evidence.strategy), journal)
    except JournalError as error:
        yield str(error)
        return
    except ZeroDivisionError:
        return  # of the strategy: the process was stopped by it, and so is a replay
    finally:
        journal.close()
    if evidence.up and done.digest != evidence.digest:
        yield "the replay's state is not the one that the process had"
