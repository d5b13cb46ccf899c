"""Pushing a published folder, to a stand-in of the hub on this machine.

Authors
 * The d2v_sb developers 2026
"""

import pytest
from click.testing import CliRunner
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from d2v_sb.cli.publish import publish as command
from d2v_sb.errors import UserError
from d2v_sb.publishing import planned, push
from tests.unit.hub_stand_in import TOKEN, HubStandIn

REPO = "me/letters"
CARD = "---\nlicense: mit\n---\n\n# letters\n"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The stand-in, in the place of the hub, and a token for it."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # Without it large files go by a protocol that the stand-in has not.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with HubStandIn() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        yield hub


@pytest.fixture
def folder(tmp_path):
    """Small files, large ones, some in a folder, and a hidden one."""
    folder = tmp_path / "letters"
    (folder / "transformers").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    (folder / ".hidden").write_text("x")
    (folder / "model.ckpt").write_bytes(bytes(range(256)) * 100)
    (folder / "transformers/config.json").write_text("{}\n")
    (folder / "transformers/model.safetensors").write_bytes(b"abc" * 999)
    return folder


def contents(folder):
    """Bytes by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_a_plan_asks_nothing_and_says_what_would_be_sent(hub, folder):
    lines = list(planned(folder, REPO).lines())
    assert hub.requests == []
    assert lines[0].startswith(f"{hub.address}/{REPO}, branch main")
    names = [line.split()[-1] for line in lines[1:-1]]
    assert names == sorted(contents(folder))


def test_the_hub_then_holds_exactly_the_folders_bytes(hub, folder):
    url, left = push(planned(folder, REPO))
    assert hub.repos == {REPO: {"main": contents(folder)}}
    assert not hub.private[REPO] and left == []
    assert url.startswith(f"{hub.address}/{REPO}/commit/")
    assert len(hub.asked("/commit/")) == 1 and len(hub.asked("/large/")) == 2


def test_what_changed_is_sent_again_and_nothing_else(hub, folder):
    push(planned(folder, REPO))
    hub.repos[REPO]["main"]["old.ckpt"] = b"old"
    hub.requests.clear()
    (folder / "README.md").write_text(CARD + "more\n")
    _, left = push(planned(folder, REPO))
    held = hub.repos[REPO]["main"]
    assert left == ["old.ckpt"] and held.pop("old.ckpt") == b"old"
    assert held == contents(folder) and hub.asked("/large/") == []


def test_the_command_sends_with_yes_only(hub, tmp_path):
    words = ["d2v_sb/small", str(tmp_path / "small"), "--push", "me/small"]
    runner = CliRunner(catch_exceptions=False)
    shown = runner.invoke(command, words)
    assert shown.exit_code == 0 and "Nothing was sent" in shown.output
    assert hub.requests == [] and hub.repos == {}
    sent = runner.invoke(command, [*words, "--yes"])
    assert sent.exit_code == 0
    assert f"sent: {hub.address}/me/small/commit/" in sent.output
    assert hub.repos["me/small"]["main"] == contents(tmp_path / "small")
    weights = load_file(tmp_path / "small/pretrained.safetensors")
    weights["mask_emb"] += 1
    save_file(weights, tmp_path / "small/pretrained.safetensors")
    with pytest.raises(UserError, match="pretrained.safetensors is not that"):
        runner.invoke(command, words)


def test_private_and_a_branch_are_asked_for(hub, folder):
    push(planned(folder, REPO, private=True, revision="next"))
    assert hub.private[REPO]
    assert hub.repos[REPO] == {"main": {}, "next": contents(folder)}


def test_a_push_that_broke_leaves_nothing_half_there_and_goes_on(hub, folder):
    hub.refuse = {"/commit/": 413}
    with pytest.raises(UserError, match="answered 413.*goes on from here"):
        push(planned(folder, REPO))
    assert hub.repos[REPO] == {"main": {}} and len(hub.large) == 2
    hub.refuse = {}
    hub.requests.clear()
    push(planned(folder, REPO))
    assert hub.repos[REPO]["main"] == contents(folder)
    assert hub.asked("/large/") == []


def test_a_large_file_that_is_refused_is_named(hub, folder):
    hub.refuse = {"/large/": 403}
    with pytest.raises(UserError, match="(?s)model.*403.*goes on from here"):
        push(planned(folder, REPO))
    assert hub.repos[REPO] == {"main": {}}


def test_a_token_that_is_not_accepted_is_said(hub, folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_of_another")
    with pytest.raises(UserError, match=r"does not accept the token \(401\)"):
        push(planned(folder, REPO))
    assert hub.repos == {}


def test_another_users_name_is_refused(hub, folder):
    with pytest.raises(UserError, match=r"may not write to you/a \(403\)"):
        push(planned(folder, "you/a"))
    assert hub.repos == {}


def test_a_card_that_the_hub_refuses_is_said(hub, folder):
    (folder / "README.md").write_text("no front matter\n")
    with pytest.raises(UserError, match="Invalid metadata.*no metadata"):
        push(planned(folder, REPO))
    assert hub.repos[REPO] == {"main": {}} and hub.large == {}


def test_what_is_no_model_there_is_said(hub, folder):
    hub.refuse = {"/tree/": 404}
    with pytest.raises(UserError, match="does not let this token see a model"):
        push(planned(folder, REPO))


def test_without_a_token_nothing_is_asked(hub, folder, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UserError, match="no token of the hub.*hf auth login"):
        push(planned(folder, REPO))
    assert hub.requests == []


def test_offline_is_said(hub, folder, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE.*unset it"):
        push(planned(folder, REPO))
    assert hub.requests == []


def test_a_hub_that_is_not_there_is_said(hub, folder):
    plan = planned(folder, REPO, endpoint="http://127.0.0.1:9")
    with pytest.raises(UserError, match="127.0.0.1:9 can not be reached"):
        push(plan)


@pytest.mark.parametrize("name", ["letters", "a/b/c", "me/", "m e/x"])
def test_a_name_that_is_none_of_the_hubs_is_refused(folder, name):
    with pytest.raises(UserError, match="name it as USER/NAME"):
        planned(folder, name)
