"""Train one network of torch.nn's layers and one of ours on two ranks; say where their parameters differ.

    python two_ranks.py PORT

Each kind of parallel training frees, gathers or reduces parameters in its own way. The ranks see unlike data.
"""

import sys
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.nn.parallel import DistributedDataParallel

import unsample.torch as ut

RANKS = 2


def network(module: Any) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        module.Conv2d(3, 8, 3, padding=1),
        module.MaxPool2d(2),
        module.Upsample(scale_factor=2, mode="bilinear"),
        module.ConvTranspose2d(8, 12, 2, stride=2),
        module.PixelShuffle(2),
        module.Conv2d(3, 3, 3, stride=4, padding=1),
    )


def fsdp1(net: nn.Module) -> nn.Module:
    return FullyShardedDataParallel(net, device_id=torch.device("cpu"))


def fsdp2(net: nn.Module) -> nn.Module:
    for layer in net:  # type: ignore[attr-defined]
        if list(layer.parameters()):
            fully_shard(layer, mesh=init_device_mesh("cpu", (RANKS,)))
    return net


WAYS = {"ddp": DistributedDataParallel, "fsdp1": fsdp1, "fsdp2": fsdp2}


def losses(module: Any, way: str, rank: int) -> torch.Tensor:
    """Of three steps on what this rank sees."""
    net = WAYS[way](network(module))
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1 + rank))
    found = []
    for _ in range(3):
        loss = (net(x) - x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(loss.detach())
    return torch.stack(found)


def work(rank: int, port: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=RANKS)
    for way in WAYS:
        ours, theirs = losses(ut, way, rank), losses(nn, way, rank)
        torch.testing.assert_close(ours, theirs)
        assert theirs[0] > theirs[-1]
        if rank == 0:
            sys.stdout.write(f"{way} agrees\n")
            sys.stdout.flush()
    dist.destroy_process_group()


if __name__ == "__main__":
    mp.spawn(work, (sys.argv[1],), nprocs=RANKS)  # type: ignore[no-untyped-call]
