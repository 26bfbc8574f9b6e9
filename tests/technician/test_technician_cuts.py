"""Provisioning that is interrupted, at every single thing the board is asked to do: before it does
it, and after it did and nobody heard. What the charger has then belongs together, and no key that
it has is unknown to the back office after the next run.
"""

import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from hostsim.commission import DEFAULT_TARIFF
from hostsim.technician import flash, provision
from hostsim.technician.link import TechnicianError
from tests.technician.technician_rig import FolderLink, Gone
from tests.technician.test_technician_flash import NEW, built

CONFIG = {"mqtt": {"host": "broker.example"}, "supplier": {"name": "Yard"}}
_OURS = ("charger.key", "config.json", "tariff.json")


class Yard:
    """A technician with one board; `run` is `make provision`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.left = folder / "left"
        self.cut = (-1, False)
        self.links: list[FolderLink] = []
        (folder / "board" / "files").mkdir(parents=True)
        (folder / "board" / "files" / "board.txt").write_text("w5500_evb_pico")
        monkeypatch.setattr(provision, "FOLDER", self.left)
        monkeypatch.setattr(provision, "Link", self._link)
        (folder / "config.json").write_text(json.dumps(CONFIG))
        (folder / "swedish.json").write_text(json.dumps(CONFIG | {"currency": "SEK"}))
        text = DEFAULT_TARIFF.read_text().replace('"EUR"', '"SEK"')
        (folder / "kronor.json").write_text(text)

    def _link(self, _port: str) -> FolderLink:
        link = FolderLink(self.folder / "board", *self.cut)
        self.links.append(link)
        return link

    def run(self, *words: object, cut: int = -1, heard: bool = False) -> bool:
        """Whether it came to its end."""
        self.cut = (cut, heard)
        try:
            code = provision.main(["", "port", "FC-0042", *map(str, words)])
        except Gone:
            return False
        assert code == 0
        return True

    def has(self) -> dict[str, bytes]:
        """The charger's own files."""
        files = self.folder / "board" / "files"
        return {name: (files / name).read_bytes() for name in _OURS if (files / name).exists()}

    def command_key(self) -> str:
        """The charger's."""
        return str(json.loads(self.has()["config.json"])["mqtt"]["command_key"])

    def left_key(self) -> str:
        """What the back office is told."""
        return (self.left / "FC-0042.command-key").read_text()

    def request_fits(self) -> bool:
        key = serialization.load_der_private_key(self.has()["charger.key"], None)
        request = x509.load_pem_x509_csr((self.left / "FC-0042.csr").read_bytes())
        return request.public_key() == key.public_key()


def cuts(steps: int, first: int = 0) -> list[tuple[int, bool]]:
    return [(cut, heard) for cut in range(first, steps) for heard in (False, True)]


def test_first_run_that_is_interrupted_anywhere_loses_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--CONFIG", "config.json", "--TARIFF", DEFAULT_TARIFF)
    yard = Yard(tmp_path / "count", monkeypatch)
    assert yard.run(words[0], yard.folder / words[1], *words[2:])
    steps = yard.links[-1].asked
    assert steps > 10
    installed = 0
    for number, (cut, heard) in enumerate(cuts(steps)):
        yard = Yard(tmp_path / str(number), monkeypatch)
        given = (words[0], yard.folder / words[1], *words[2:])
        assert not yard.run(*given, cut=cut, heard=heard)
        there = yard.has()
        assert set(there) in (set(), set(_OURS)), f"cut at {cut}: {sorted(there)}"
        key = yard.command_key() if there else ""
        installed += bool(there)
        assert yard.run(*given)
        assert set(yard.has()) == set(_OURS)
        assert yard.left_key() == yard.command_key(), f"cut at {cut}"
        assert key in ("", yard.command_key()), "a key that is there stays"
        assert yard.request_fits()
        names = {path.name for path in yard.left.iterdir()}
        assert names == {"FC-0042.csr", "FC-0042.command-key"}, "no secret lies about"
    assert 0 < installed < 2 * steps


def test_charger_interrupted_while_it_gets_new_keys_and_prices_has_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def provisioned(folder: Path) -> Yard:
        yard = Yard(folder, monkeypatch)
        assert yard.run("--CONFIG", folder / "config.json", "--TARIFF", DEFAULT_TARIFF)
        return yard

    def anew(yard: Yard, cut: int = -1, heard: bool = False) -> bool:
        folder = yard.folder
        return yard.run("--CONFIG", folder / "swedish.json", "--TARIFF", folder / "kronor.json",
                        "--new-key", cut=cut, heard=heard)  # fmt: skip

    yard = provisioned(tmp_path / "count")
    assert anew(yard)
    steps = yard.links[-1].asked
    both = set()
    for number, (cut, heard) in enumerate(cuts(steps, 4)):
        yard = provisioned(tmp_path / str(number))
        before = yard.has()
        assert not anew(yard, cut=cut, heard=heard)
        after = yard.has()
        changed = {name for name in _OURS if after[name] != before[name]}
        assert changed in (set(), set(_OURS)), f"cut at {cut}: only {sorted(changed)}"
        both.add(bool(changed))
        assert yard.run(), "whatever the technician does next"
        assert yard.left_key() == yard.command_key() and yard.request_fits(), f"cut at {cut}"
        assert yard.has() == after
    assert both == {False, True}


def test_damaged_configuration_is_replaced_by_one_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    yard = Yard(tmp_path / "yard", monkeypatch)
    (yard.folder / "board" / "files" / "config.json").write_bytes(b'{"mqtt": {"comm\xff')
    assert provision.main(["", "port", "FC-0042"]) == 1
    assert "config.json on the charger is not JSON" in capsys.readouterr().err
    assert yard.run("--CONFIG", yard.folder / "config.json")
    assert yard.left_key() == yard.command_key()


def test_files_that_are_not_as_written_take_no_place(tmp_path: Path) -> None:
    with FolderLink(tmp_path / "board") as link:
        (link.files / "tariff.json").write_bytes(b"old")
        heard = link.hash_of
        link.hash_of = lambda name: heard(name) if "config" in name else "0" * 64  # type: ignore[method-assign]
        with pytest.raises(TechnicianError, match="tariff.json is not as it was written"):
            link.put_together({"config.json": b"{}", "tariff.json": b"new"})
        assert (link.files / "tariff.json").read_bytes() == b"old"
        assert not (link.files / "config.json").exists()


def test_what_starts_every_version_is_renewed_together_or_not_at_all(tmp_path: Path) -> None:
    made = built(tmp_path / "made", NEW, "1.1.0")
    names = ("start.mpy", "last.mpy", "main.py")

    def with_older(folder: Path, cut: int, heard: bool) -> FolderLink:
        files = folder / "files"
        files.mkdir(parents=True)
        for name in names:
            (files / name).write_bytes(b"of the release before")
        return FolderLink(folder, cut, heard)

    with with_older(tmp_path / "count", -1, False) as link:
        flash.put_root(link, made)
        steps = link.asked
        new = {name: (link.files / name).read_bytes() for name in names}
    seen = set()
    for number, (cut, heard) in enumerate(cuts(steps)):
        link = with_older(tmp_path / str(number), cut, heard)
        with link, pytest.raises(Gone):
            flash.put_root(link, made)
        there = {name: (link.files / name).read_bytes() for name in names}
        assert there == new or set(there.values()) == {b"of the release before"}, f"cut at {cut}"
        seen.add(there == new)
    assert seen == {False, True}
