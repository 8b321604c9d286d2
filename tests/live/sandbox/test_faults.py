"""A plan of faults is read, refused where it is wrong, and the same in every run."""

import pytest

from data.errors import UsageError
from live.sandbox.faults import MOMENT, Faults


def test_a_plan_hits_what_it_says():
    faults = Faults.parse("429@2,500@4,ws.cut@90s,ws.stall@10s")
    assert [faults.of_request(i, "/x") for i in range(5)] == ["", "429", "", "500", ""]
    assert list(faults.moments(3600)) == [(10.0, "ws.stall"), (90.0, "ws.cut")]
    assert [(each.name, each.what) for each in faults.injected] == [("429", "/x"), ("500", "/x")]


def test_the_same_seed_is_the_same_run_and_another_is_not():
    def run(seed):
        faults = Faults.parse(f"cut=0.2,ws.drop=0.1,ws.stall=3/h;seed={seed}")
        requests = [faults.of_request(0, "") for _ in range(200)]
        return requests, [faults.of_message("ws.drop", i) for i in range(200)], list(faults.moments(36_000))

    assert run(1) == run(1)
    assert all(a != b for a, b in zip(run(1), run(2), strict=True))
    requests, dropped, moments = run(1)
    assert 20 < requests.count("cut") < 60
    assert 8 < sum(dropped) < 35
    assert 15 < len(moments) < 50


WRONG = {
    "429x=1": "there is no fault '429x'; did you mean '429'",
    "429": "says not when; write 429=0.05 or 429@3",
    "ws.cut=0.5": "write ws.cut=2/h or ws.cut@90s",
    "429=2/h": "write 429=0.05 or 429@3",
    "429=2": "not a chance from 0 to 1",
    "cut=much": "'much' in 'cut=much' is not a number",
    "cut@1;seed=x": "is not a number",
}


@pytest.mark.parametrize("plan", WRONG)
def test_a_wrong_plan_is_told_what_to_write(plan):
    with pytest.raises(UsageError) as caught:
        Faults.parse(plan)
    assert WRONG[plan] in str(caught.value)


def test_no_faults_is_no_faults():
    faults = Faults()
    assert not any(faults.of_request(0, "") for _ in range(100))
    assert not any(faults.of_message("ws.drop", i) for i in range(100))
    assert list(faults.moments(10**6)) == []
    assert "ws.cut" in MOMENT
