"""Publishing: the order of syncs, what survives an error, what counts as complete."""

import errno
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from tiny_training import TinyTraining, restored_bits

from workbench import store
from workbench.errors import DamagedArtefactError, InputError, ResourceError, WorkbenchError
from workbench.store import atomic
from workbench.store.atomic import is_temporary
from workbench.store.manifest import find_problems


def publish(directory: Path, text: str = "old") -> Path:
    with store.publish(directory, meta={"fingerprint": text}) as temporary:
        (temporary / "a.json").write_text(text)
        (temporary / "below").mkdir()
        (temporary / "below" / "b.npy").write_text(text * 1000)
    return directory


@pytest.fixture
def happened(tmp_path, monkeypatch) -> list[str]:
    """What is done to the paths below `tmp_path`, in order; every temporary is called tmp."""
    root, operations = tmp_path.resolve(), list[str]()

    def short(path: str) -> str:
        parts = Path(path).relative_to(root).parts
        return str(Path(*["tmp" if is_temporary(part) else part for part in parts]))

    def watch(module: ModuleType, name: str) -> None:
        original: Callable[..., object] = getattr(module, name)

        def operation(first: object, *rest: object, **options: object) -> object:
            path = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
            operations.append(f"{name} {short(path)}")
            return original(first, *rest, **options)

        monkeypatch.setattr(module, name, operation)

    for name in ("fsync", "rename", "replace", "write"):
        watch(os, name)
    watch(atomic, "exchange")
    watch(shutil, "rmtree")
    return operations


def test_files_then_manifest_then_directory_then_rename_then_parent(tmp_path, happened):
    (tmp_path / "run").mkdir()
    publish(tmp_path / "run" / "probes")
    assert happened == [
        "fsync run/tmp/a.json",
        "fsync run/tmp/below/b.npy",
        "write run/tmp/manifest.json",
        "fsync run/tmp/manifest.json",
        "fsync run/tmp/below",
        "fsync run/tmp",
        "rename run/tmp",
        "fsync run",
        "rmtree run/tmp",
    ]


@pytest.mark.parametrize("exchange_works", [True, False])
def test_the_parent_is_synced_before_what_was_replaced_goes(
    tmp_path, happened, monkeypatch, exchange_works
):
    publish(tmp_path / "run" / "probes", "old")
    if not exchange_works:
        monkeypatch.setattr(atomic, "exchange", lambda left, right: False)
    happened.clear()
    publish(tmp_path / "run" / "probes", "new")
    after = happened[happened.index("fsync run/tmp") + 1 :]
    if exchange_works and "rename run/probes" in after:
        pytest.skip("this file system cannot exchange two names")
    renames = ["exchange run/tmp"] if exchange_works else ["rename run/probes", "rename run/tmp"]
    assert after[: len(renames) + 2] == [*renames, "fsync run", "rmtree run/tmp"]


def test_every_other_rename_is_synced_too(tmp_path, happened):
    run = tmp_path / "run"
    run.mkdir()
    store.write_json(run / "run.json", {"a": 1})
    assert happened == ["write run/tmp", "fsync run/tmp", "replace run/tmp", "fsync run"]
    publish(run / "probes")
    happened.clear()
    atomic.rename_directory(run / "probes", run / "aside")
    assert happened == ["rename run/probes", "fsync run"]
    happened.clear()
    atomic.remove_directory(run / "aside")
    assert happened == ["rename run/aside", "fsync run", "rmtree run/tmp"]
    (run / ".old-probes").mkdir()
    happened.clear()
    atomic.sweep(run / "probes")
    assert happened == ["rename run/tmp", "fsync run"]


def test_new_parents_are_synced_too(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def watched(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    publish(tmp_path / "study" / "arm" / "probes")
    assert synced[:2] == [str(tmp_path), str(tmp_path / "study")]
    assert synced[-1] == str(tmp_path / "study" / "arm")


def test_a_failing_body_leaves_what_was_there(tmp_path):
    publish(tmp_path / "probes")
    with pytest.raises(FileNotFoundError), store.publish(tmp_path / "probes") as temporary:
        (temporary / "absent" / "a.json").write_text("new")
    assert os.listdir(tmp_path) == ["probes"]
    assert store.verify(tmp_path / "probes").meta == {"fingerprint": "old"}


def test_published_again_replaces_and_leaves_nothing(tmp_path):
    publish(tmp_path / "probes", "old")
    publish(tmp_path / "probes", "new")
    assert os.listdir(tmp_path) == ["probes"]
    manifest = store.verify(tmp_path / "probes")
    assert manifest.meta == {"fingerprint": "new"}
    assert set(manifest.files) == {"a.json", "below/b.npy"}
    assert manifest.size == 3003


def test_is_complete_knows_absent_other_and_damaged(tmp_path):
    directory = tmp_path / "corpus"
    assert not store.is_complete(directory, "old")
    directory.mkdir()
    assert not store.is_complete(directory, "old")
    publish(directory)
    assert store.is_complete(directory, "old")
    assert not store.is_complete(directory, "new")
    (directory / "a.json").write_text("ol")
    with pytest.raises(DamagedArtefactError, match=r"a\.json: truncated, it has 2 of 3 bytes"):
        store.is_complete(directory, "old")
    (directory / "manifest.json").unlink()
    with pytest.raises(DamagedArtefactError, match=r"missing.*; remove .* to have it made again"):
        store.is_complete(directory, "old")


def test_every_problem_is_found_and_the_first_named(tmp_path):
    directory = publish(tmp_path / "corpus")
    (directory / "a.json").write_text("older")
    (directory / "below" / "b.npy").write_text("old" * 999 + "odd")
    (directory / "c").touch()
    problems = [str(problem) for problem in find_problems(directory)]
    assert [problem.split(": ")[1].split(",")[0] for problem in problems] == [
        "changed",
        "changed",
        "extra",
    ]
    with pytest.raises(DamagedArtefactError, match=r"\(and 2 more\)"):
        store.verify(directory)
    assert not list(find_problems(publish(directory)))


def test_the_name_of_the_manifest_is_kept(tmp_path):
    with (
        pytest.raises(InputError, match="kept for the manifest"),
        store.publish(tmp_path / "corpus") as temporary,
    ):
        (temporary / "manifest.json").write_text("{}")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("inside", [".", "below"])
def test_a_file_in_the_way_is_bad_input(tmp_path, inside):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("precious")
    for write in (publish, store.check_writable, lambda path: TinyTraining().run(1).save(path)):
        with pytest.raises(InputError) as caught:
            write(in_the_way / inside)
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError), store.run_lock(in_the_way):
        pass
    assert in_the_way.read_text() == "precious"
    assert os.listdir(tmp_path) == ["file"]


def test_a_read_only_disk_is_bad_input(tmp_path, monkeypatch):
    def refused(*args: object, **options: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(InputError, match="Read-only file system"):
        store.check_writable(tmp_path)


def test_a_live_temporary_is_left_and_a_dead_one_removed(tmp_path):
    dead = tmp_path / ".tmp-probes-0123abcd"
    dead.mkdir()
    (dead / "half").write_text("x")
    other = tmp_path / ".tmp-probes-more-0123abcd"
    other.mkdir()
    with store.publish(tmp_path / "probes") as live:
        assert not dead.exists()
        atomic.sweep(tmp_path / "probes")
        assert live.is_dir()
    assert other.is_dir(), "it belongs to the artefact probes-more"
    atomic.sweep_within(tmp_path)
    assert os.listdir(tmp_path) == ["probes"]


def run_in_child(limit: int, action: Callable[[], object]) -> int:
    """Exit code of `action` where no file may grow beyond `limit` bytes."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            action()
            code = 0
        except WorkbenchError as error:
            code = error.exit_code if "no room to write (File too large)" in str(error) else 71
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def publish_nothing_but_a_manifest(directory: Path) -> None:
    with store.publish(directory / "bare", meta={"fingerprint": "x" * 100}):
        pass


@pytest.mark.parametrize("limit", [0, 100, 300, 500, 1000, 4000])
def test_no_room_is_said_and_nothing_is_left(tmp_path, limit):
    training = TinyTraining().run(1)
    training.save(tmp_path / "vae")
    old = training.bits()
    training.run(1)
    assert run_in_child(limit, lambda: training.save(tmp_path / "vae")) == 4
    publish(tmp_path / "probes")
    store.write_json(tmp_path / "run.json", {"a": 1})
    assert run_in_child(min(limit, 1000), lambda: publish(tmp_path / "probes", "new")) == 4
    document = {"a": "x" * 5000}
    assert run_in_child(limit, lambda: store.write_json(tmp_path / "run.json", document)) == 4
    assert run_in_child(min(limit, 100), lambda: publish_nothing_but_a_manifest(tmp_path)) == 4
    assert restored_bits(store.load_latest(tmp_path / "vae")) == old
    assert store.verify(tmp_path / "probes").meta == {"fingerprint": "old"}
    assert store.read_json(tmp_path / "run.json") == {"a": 1}
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob(".*")}
    assert not left
    assert not (tmp_path / "bare").exists()
    assert run_in_child(1 << 20, lambda: training.save(tmp_path / "vae")) == 0


def test_no_room_in_the_body_is_said(tmp_path):
    with (
        pytest.raises(ResourceError, match="No space left on device"),
        store.publish(tmp_path / "corpus"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(PermissionError), store.publish(tmp_path / "corpus"):
        raise PermissionError(errno.EACCES, "another file of the caller")
    assert os.listdir(tmp_path) == []


def test_importing_the_store_loads_the_standard_library_alone():
    import subprocess
    import sys

    program = (
        "import sys; before = set(sys.modules); import workbench.store; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert set(found.stdout.split()) - sys.stdlib_module_names == {"workbench"}
