"""Training on two ranks, whose parameters are sharded, freed and gathered: DDP, FSDP1 and FSDP2."""

import socket
from pathlib import Path

import pytest
import torch

import program

SCRIPT = Path(program.__file__).with_name("two_ranks.py")


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")
def test_two_ranks_train_as_with_the_layers_of_torch() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out = program.ends_well("-W", "ignore", str(SCRIPT), str(port))
    assert out.split("\n")[:3] == ["ddp agrees", "fsdp1 agrees", "fsdp2 agrees"]
