"""Temporal's sandbox, without two things that it does for each workflow and that we do not need.

It loads a workflow's module anew for each workflow. Where Python may not write bytecode (`PYTHONDONTWRITEBYTECODE`,
common in images; a package that belongs to root), it would compile the module each time: 3 ms of an order. And it is
asked for the context of each payload, several times each, for a codec that encodes by context. Ours does not.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import ClassVar

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import Info


class _KeepsCode(SourceFileLoader):
    _codes: ClassVar[dict[str, CodeType | None]] = {}  # of all loaders: each load gets a loader of its own

    def get_code(self, fullname: str) -> CodeType | None:
        if fullname not in self._codes:
            self._codes[fullname] = super().get_code(fullname)
        return self._codes[fullname]


class _Finder(MetaPathFinder):
    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(self._package):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _KeepsCode(spec.loader.name, spec.loader.path)
        return spec


def keep_compiled(package: str) -> None:
    """From now on, this process compiles each module of the package at most once, however often it is loaded."""
    sys.meta_path.insert(0, _Finder(f"{package}."))


class ContextFreeRunner(SandboxedWorkflowRunner):
    """The SDK's sandbox; payloads have no context, so a codec or an external storage must not need one."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """A workflow in a sandbox of its own."""
        return _ContextFree(super().create_instance(det))


class _ContextFree(WorkflowInstance):
    def __init__(self, inner: WorkflowInstance) -> None:
        self._inner = inner

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        return self._inner.activate(act)

    def get_serialization_context(self, command_info: object) -> None:
        return None

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:
        return StorageDriverStoreContext(target=None)

    def get_info(self) -> Info:
        return self._inner.get_info()

    def get_thread_id(self) -> int | None:
        return self._inner.get_thread_id()
