"""Real files that nobody here wrote: loaded, or refused with line and path; never a traceback.

Run with SCL_CORPUS naming a folder of SCL files.
"""

import pytest
from open61850.server import IedModel as PeerModel
from open61850.server.model import _BTYPES

from agent.errors import SclError
from agent.iec61850 import FC, BasicType
from agent.scl import expand, initial, read_scl, subscriptions
from agent.scl.check import check

pytestmark = pytest.mark.corpus
CONTROL_BLOCKS = {"RP", "BR", "GO", "MS", "US", "LG"}


@pytest.fixture(scope="module")
def loaded(corpus):
    """Every file that is readable, and the errors of the others."""
    files, refused = [], []
    for path in corpus:
        if path.suffix in (".json", ".md"):
            continue
        try:
            files.append((path, read_scl(path)))
        except SclError as error:
            refused.append((path, error))
    return files, refused


def test_nearly_all_load_and_the_others_are_refused_with_a_line(loaded):
    files, refused = loaded
    assert len(files) > 20 * len(refused)
    for path, error in refused:
        assert error.findings[0].where.startswith(f"{path}:")
        assert "not well-formed" in error.findings[0].what


def test_every_ied_expands_and_its_subscriptions_resolve_or_say_why(loaded):
    served = 0
    for _, scl in loaded[0]:
        for ied in scl.ieds:
            model = expand(scl, ied.name)
            served += bool(model.devices)
            assert all(f.what and f.path for f in model.findings)
            assert all(f.what and f.line for f in subscriptions(scl, ied.name).findings)
    assert served > 100


def test_every_file_is_checked(loaded):
    for path, scl in loaded[0]:
        for finding in check(scl):
            assert finding.rule and finding.what and finding.file == str(path)


def names(model):
    """MMS variable names of the data of a model, by domain (SE implies SG)."""
    found = {}
    for device in model.devices:
        domain = found.setdefault(device.name, set())
        for node in device.nodes:
            for path, leaf in node.leaves():
                for fc in ("SE", "SG") if leaf.fc is FC.SE else (leaf.fc,):
                    parts = [node.name, fc, *path]
                    domain.update("$".join(parts[:n]) for n in range(2, len(parts) + 1))
    return found


def peer_names(peer):
    found = {}
    for domain in peer.logical_devices:
        every = peer.names(domain)
        found[domain] = {
            name
            for name in every
            if "$" in name and name.split("$")[1] not in CONTROL_BLOCKS and "SGCB" not in name
        }
        if "LLN0$SP$SGCB" in every:
            found[domain].add("LLN0$SP")
    return found


@pytest.mark.peer
def test_expansions_agree_with_open61850(loaded):
    """The last IED of every file below 200 kB."""
    assert agreements(loaded[0], 1, 200_000) > 100


@pytest.mark.peer
@pytest.mark.soak
def test_every_expansion_agrees_with_open61850(loaded, record_property):
    """Every IED of every file; about five minutes."""
    compared = agreements(loaded[0], 1000, 1 << 30)
    record_property("files", len(loaded[0]))
    record_property("IEDs that agree", compared)
    assert compared > 300


def agreements(files, most_ieds, most_bytes):
    """Same names, same type of every leaf; what open61850 cannot serve is left out."""
    compared = 0
    for path, scl in files:
        if path.stat().st_size > most_bytes:
            continue
        for ied in scl.ieds[-most_ieds:]:
            model = expand(scl, ied.name)
            if not model.devices:
                continue
            try:
                peer = PeerModel.from_scl(path, ied.name)
            except ValueError:
                continue
            ours = names(model)
            for domain, theirs in peer_names(peer).items():
                assert ours.get(domain, set()) | (theirs & {"LLN0$SP"}) == theirs, (
                    path,
                    ied.name,
                    domain,
                )
            same_types(model, peer)
            compared += 1
    return compared


def same_types(model, peer):
    for reference, leaf in model.leaves():
        if leaf.count or leaf.children or leaf.b_type is BasicType.STRUCT:
            continue
        node = peer.node(f"{reference.ld}/{reference.mms_item}")
        if node is None or str(leaf.b_type) not in _BTYPES:
            continue
        assert node.mms_type.kind == _BTYPES[str(leaf.b_type)][0], str(reference)


def test_values_that_are_set_are_read_or_reported(loaded):
    unread = 0
    total = 0
    for _, scl in loaded[0]:
        for ied in scl.ieds:
            for _, leaf in expand(scl, ied.name).leaves():
                if leaf.values and leaf.values[0].text:
                    total += 1
                    unread += initial(leaf) is None
    assert total > 1000
    assert unread < total / 100
