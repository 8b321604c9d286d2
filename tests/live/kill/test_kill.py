"""Real processes, killed with SIGKILL at every labelled write point (F01); the broker's own record judges."""

import stat
import tempfile
from pathlib import Path

import msgspec
import pytest
from killing.scenarios import ELSEWHERE, LABELS
from killing.theatre import Stage, Theatre

BROKERS = ("alpaca", "robinhood_private")
KILLS, TRIES = 2, 8


@pytest.mark.parametrize("label", LABELS)
def test_what_a_killed_process_leaves_is_taken_up_to_the_brokers_books(theatre, label):
    kills, found = 0, []
    for seed in range(TRIES):
        point = LABELS[label][seed % len(LABELS[label])]
        verdict = theatre.kill(point, seed, BROKERS[seed % 2]) or theatre.kill(point, seed, "alpaca")
        if verdict is not None:
            kills += verdict.kills
            found += verdict.found
        if kills >= KILLS:
            break
    assert found == []
    assert kills >= KILLS, f"no process could be killed {label}"


@pytest.mark.parametrize(
    ("mistake", "point", "broker", "caught"),
    [
        ("the mark comes after the request", "request.after", "alpaca", ("I2",)),
        ("a restart sends again what may have left", "answer.unread", "robinhood_private", ("I1", "I3", "I6")),
        ("a commit is put off", "commit.after", "alpaca", ("I7",)),
    ],
)
def test_a_process_that_does_it_wrong_is_caught(theatre, mistake, point, broker, caught):
    wrong = Theatre(plant=mistake)
    wrong._census = theatre._census  # of processes that do it right
    try:
        for seed in range(12):
            verdict = wrong.kill(point, seed, broker, most=1)
            if verdict is not None and any(f": {name} " in line for line in verdict.found for name in caught):
                return
    finally:
        wrong.close()
    raise AssertionError(f"nobody noticed that {mistake}")


@pytest.mark.parametrize("point", ["token.unsynced", "token.written", "token.replaced"])
def test_a_login_survives_a_death_while_it_is_renewed(theatre, point):
    """The new token pair is on the disk whole or not at all; a half-written one would lock the account out."""
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        stage = Stage(theatre.loop, Path(folder), "trade", "robinhood")
        try:
            path = Path(stage.job["grant"])
            before = msgspec.json.decode(path.read_bytes())
            ended = theatre.nursery.run(stage.job | {"do": "renew", "point": point})
            assert ended["signal"] == 9
            after = msgspec.json.decode(path.read_bytes())
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            if point == "token.replaced":
                assert after["revision"] == before["revision"] + 1
                again = theatre.nursery.run(stage.job | {"do": "renew"})
                assert again["told"]["revision"].endswith("revision 2)")
                assert list(Path(folder).glob(".a.grant.*")) == []
            else:  # the old pair; the broker has let go of it, so a person logs in again and nothing was sent
                assert after == before
                again = theatre.nursery.run(stage.job | {"do": "renew"})
                assert "AuthError" in again["told"]["error"]
            assert not stage.venue.orders
        finally:
            stage.close()


def test_every_point_of_the_list_is_killed_or_has_its_reason():
    from live.points import POINTS

    on_the_wire = {"request.half", "answer.unread", "cancel.half", "cancel.unread"}
    assert {point for names in LABELS.values() for point in names} <= {*POINTS, *on_the_wire}
    assert len(LABELS) + len(ELSEWHERE) >= 24
    assert all(ELSEWHERE.values())
