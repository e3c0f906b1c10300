"""Names of machines, people and home directories stay at home, in every format, unless asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sample_reports

from tbdiag.model import ReadIssue, Report
from tbdiag.render import FORMATS, render
from tbdiag.render.privacy import scrub, scrub_path, scrub_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("events.out.tfevents.1700000000.gpu-17.4242.0", "events.out.tfevents.1700000000.….4242.0"),
        ("events.out.tfevents.1700000000.gpu-17.corp.example.com.4242.0.v2", "events.out.tfevents.1700000000.….4242.0.v2"),
        ("events.out.tfevents.1700000000.gpu-17", "events.out.tfevents.1700000000.…"),
        ("a/events.out.tfevents.1700000000.node.1.2: cut", "a/events.out.tfevents.1700000000.….1.2: cut"),
        ("runs/Mar01_05-09-19_gpu-17.corp", "runs/Mar01_05-09-19_…"),
        ("runs/Mar01_05-09-19_gpu-17_lr0.1/sub", "runs/Mar01_05-09-19_…_lr0.1/sub"),
        ("Mar15_09-08-18_lab-ws2: plateau", "Mar15_09-08-18_…: plateau"),
        ("/home/alice/exp/runs", "~/exp/runs"),
        ("see /Users/alice/x and /root/y", "see ~/x and ~/y"),
        ("file:///home/alice/r.html", "file://~/r.html"),
        (r"C:\Users\alice\runs", r"~\runs"),
        ("alice@gpu-17:~/runs", "…:~/runs"),
        ("train/loss", "train/loss"),
        ("/home", "/home"),
        ("a/home/b", "a/home/b"),
        ("Marvel_05", "Marvel_05"),
        ("precision@10", "precision@10"),
        ("mAP@0.5", "mAP@0.5"),
        ("recall@k/val", "recall@k/val"),
        ("@everyone", "@everyone"),
    ],
)
def test_scrub_text(text, shown):
    assert scrub_text(text) == shown
    assert scrub_text(shown) == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("runs/exp42", "runs/exp42"),
        ("/home/alice/p/runs/exp42", "~/p/runs/exp42"),
        ("/mnt/nfs/alice/exp42", "…/exp42"),
        ("../../home/alice/runs", "../..~/runs"),
        (r"D:\data\alice\exp42", "…/exp42"),
        ("/runs", "…/runs"),
    ],
)
def test_scrub_path(path, shown):
    assert scrub_path(path) == shown


def test_identities_in_the_configuration():
    assert scrub({"config": {"hostname": "gpu-17", "train/user": "alice", "users": 3, "host": 4}}) == {
        "config": {"hostname": "…", "train/user": "…", "users": 3, "host": 4}
    }
    found = {"user": {"value": "alice", "source": "hparams"}, "lr": {"value": 0.1, "source": "/home/alice/c.yaml"}}
    assert scrub({"config": found})["config"] == {"user": {"value": "…", "source": "hparams"}, "lr": {"value": 0.1, "source": "~/c.yaml"}}


def test_places_of_a_cluster_but_not_tags():
    run = {"config": {"out": {"value": "/scratch/alice/run1/ckpt", "source": "read from /mnt/nfs/alice/c.yaml"}}, "tag": "/data/loss/train"}
    assert scrub(run) == {"config": {"out": {"value": "…/ckpt", "source": "read from …/c.yaml"}}, "tag": "/data/loss/train"}
    assert scrub({"headline": "/scratch/alice/x: overfitting", "name": "/scratch/alice/x"}) == {
        "headline": "…/x: overfitting",
        "name": "…/x",
    }
    assert scrub({"title": "ratio a/data/b of 1/2"}) == {"title": "ratio a/data/b of 1/2"}


SECRET = ("alice", "gpu-node-17")


def _private() -> Report:
    base = sample_reports.exploding().runs[0]
    issues = (
        ReadIssue(
            "truncated",
            "events.out.tfevents.1700000000.gpu-node-17.4242.0",
            "/home/alice/x/events.out.tfevents.1700000000.gpu-node-17.4242.0 is cut",
        ),
    )
    run = replace(
        base,
        name="runs/Mar01_05-09-19_gpu-node-17",
        headline="runs/Mar01_05-09-19_gpu-node-17: nan inf from step 11,800",
        path="/scratch/alice/runs/Mar01_05-09-19_gpu-node-17",
        read_issues=issues,
        config={"hostname": {"value": "gpu-node-17", "source": "text"}, "out": {"value": "/home/alice/out", "source": "text"}},
    )
    return Report((run,), sample_reports.TOOL, problems=issues)


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_tells(form):
    text = render(_private(), form)
    assert not [s for s in SECRET if s in text]


def test_show_paths_keeps_them():
    text = render(_private(), "json", show_paths=True)
    assert all(s in text for s in SECRET)
    assert "gpu-node-17" in render(_private(), "html", show_paths=True)
