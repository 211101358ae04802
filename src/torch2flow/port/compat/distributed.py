"""`torch.distributed` on OneFlow's launcher: a process knows its rank from the environment, and there is one group."""

from torch2flow.models.lowering.lazy import flow, nn
from torch2flow.port.compat.registry import stands_for


@stands_for("torch.distributed.is_available", because="OneFlow has no such question: it is always there.")
def is_available():
    return True


@stands_for("torch.distributed.is_initialized", because="OneFlow starts its ranks by itself.")
def is_initialized():
    return flow.env.get_world_size() > 1


@stands_for("torch.distributed.init_process_group", "torch.distributed.destroy_process_group",
            because="OneFlow starts and ends its ranks by itself.")  # fmt: skip
def process_group(*args, **named):
    return None


@stands_for("torch.distributed.get_rank", because="OneFlow has it in `env`.")
def get_rank(group=None):
    return flow.env.get_rank()


@stands_for("torch.distributed.get_world_size", because="OneFlow has it in `env`.")
def get_world_size(group=None):
    return flow.env.get_world_size()


@stands_for("torch.distributed.get_backend", because="OneFlow tells no backend.")
def get_backend(group=None):
    return "nccl" if flow.cuda.is_available() else "gloo"


@stands_for("torch.distributed.barrier", because="OneFlow has it in `comm`.")
def barrier(group=None, async_op=False, device_ids=None):
    if flow.env.get_world_size() > 1:
        flow.comm.barrier()


@stands_for("torch.distributed.ReduceOp", "torch.distributed.reduce_op", because="OneFlow has sums alone.")
class ReduceOp:
    SUM, AVG, PRODUCT, MIN, MAX = "sum", "avg", "product", "min", "max"


@stands_for("torch.distributed.all_reduce", because="OneFlow has it in `comm`, and sums alone.")
def all_reduce(tensor, op="sum", group=None, async_op=False):
    check_reduction(op)
    if flow.env.get_world_size() > 1:
        flow.comm.all_reduce(tensor)
        turn_sum_into(op, tensor)


def check_reduction(op):
    if op not in ("sum", "avg"):
        raise NotImplementedError(f"OneFlow can't reduce by {op}")


def turn_sum_into(op, tensor):
    """Makes a sum over the ranks what was asked for."""
    if op == "avg":
        tensor.div_(flow.env.get_world_size())


@stands_for("torch.distributed.reduce", because="OneFlow has it in `comm`, and sums alone.")
def reduce(tensor, dst, op="sum", group=None, async_op=False):
    check_reduction(op)
    if flow.env.get_world_size() > 1:
        flow.comm.reduce(tensor, dst)
        if flow.env.get_rank() == dst:
            turn_sum_into(op, tensor)


@stands_for("torch.distributed.broadcast", because="OneFlow has it in `comm`.")
def broadcast(tensor, src, group=None, async_op=False):
    if flow.env.get_world_size() > 1:
        flow.comm.broadcast(tensor, src)


@stands_for("torch.distributed.all_gather", because="OneFlow has it in `comm`.")
def all_gather(tensor_list, tensor, group=None, async_op=False):
    if flow.env.get_world_size() > 1:
        flow.comm.all_gather(tensor_list, tensor)
    else:
        tensor_list[0][...] = tensor


@stands_for("torch.distributed.new_group", because="OneFlow has one group, of all ranks.")
def new_group(ranks=None, *args, **named):
    if ranks is not None and sorted(ranks) != list(range(flow.env.get_world_size())):
        raise NotImplementedError("OneFlow has one group, of all ranks")


@stands_for(
    "torch.nn.parallel.DistributedDataParallel",
    "torch.nn.parallel.distributed.DistributedDataParallel",
    because="OneFlow's changes the module itself, and takes no `device_ids`: this keeps `.module`.",
)
class DistributedDataParallel(nn.Module):
    def __init__(self, module, device_ids=None, output_device=None, dim=0, broadcast_buffers=True, **named):
        super().__init__()
        if flow.env.get_world_size() > 1:
            module = nn.parallel.DistributedDataParallel(module, broadcast_buffers=broadcast_buffers)
        self.module = module

    def forward(self, *inputs, **named):
        return self.module(*inputs, **named)


@stands_for("torch.distributed.broadcast_object_list", because="OneFlow sends tensors alone.")
def broadcast_object_list(object_list, src=0, group=None, device=None):
    if flow.env.get_world_size() > 1:
        raise NotImplementedError("OneFlow sends tensors alone from rank to rank, no objects of Python's")


@stands_for("torch.distributed.all_gather_object", because="OneFlow sends tensors alone.")
def all_gather_object(object_list, obj, group=None):
    if flow.env.get_world_size() > 1:
        raise NotImplementedError("OneFlow sends tensors alone from rank to rank, no objects of Python's")
    object_list[0] = obj


@stands_for("torch.distributed.is_nccl_available", because="OneFlow has it where it has CUDA.")
def is_nccl_available():
    return flow.cuda.is_available()


@stands_for("torch.distributed.is_gloo_available", "torch.distributed.is_mpi_available",
            "torch.distributed.is_torchelastic_launched", because="OneFlow has no such backend.")  # fmt: skip
def is_backend_there():
    return False


@stands_for("torch.distributed.gather", because="OneFlow has it in `comm`.")
def gather_to_one(tensor, gather_list=None, dst=0, group=None, async_op=False):
    if flow.env.get_world_size() > 1:
        flow.comm.gather(tensor, gather_list, dst)
    else:
        gather_list[0][...] = tensor


@stands_for("torch.distributed.scatter", because="OneFlow has it in `comm`.")
def scatter_from_one(tensor, scatter_list=None, src=0, group=None, async_op=False):
    if flow.env.get_world_size() > 1:
        flow.comm.scatter(tensor, scatter_list, src)
    else:
        tensor[...] = scatter_list[0]


@stands_for("torch.distributed.all_gather_into_tensor", "torch.distributed._all_gather_base",
            because="OneFlow has it in `comm`.")  # fmt: skip
def all_gather_into_tensor(output_tensor, input_tensor, group=None, async_op=False):
    if flow.env.get_world_size() > 1:
        flow.comm.all_gather_into_tensor(output_tensor, input_tensor)
    else:
        output_tensor[...] = input_tensor.reshape(output_tensor.shape)


@stands_for("torch.distributed.reduce_scatter", because="OneFlow has it in `comm`, and sums alone.")
def reduce_scatter(output, input_list, op="sum", group=None, async_op=False):
    check_reduction(op)
    if flow.env.get_world_size() > 1:
        flow.comm.reduce_scatter(output, input_list)
        turn_sum_into(op, output)
    else:
        output[...] = input_list[0]


@stands_for("torch.distributed.reduce_scatter_tensor", "torch.distributed._reduce_scatter_base",
            because="OneFlow has it in `comm`, and sums alone.")  # fmt: skip
def reduce_scatter_tensor(output, input, op="sum", group=None, async_op=False):
    check_reduction(op)
    if flow.env.get_world_size() > 1:
        flow.comm.reduce_scatter_tensor(output, input)
        turn_sum_into(op, output)
    else:
        output[...] = input.reshape(output.shape)


@stands_for("torch.distributed.all_to_all", because="OneFlow has it in `comm`.")
def all_to_all(output_tensor_list, input_tensor_list, group=None, async_op=False):
    if flow.env.get_world_size() > 1:
        flow.comm.all_to_all(output_tensor_list, input_tensor_list)
    else:
        output_tensor_list[0][...] = input_tensor_list[0]


@stands_for("torch.distributed.send", because="OneFlow has it in `comm`.")
def send(tensor, dst, group=None, tag=0):
    flow.comm.send(tensor, dst, send_meta=False)  # the other side knows shape and dtype from its tensor


@stands_for("torch.distributed.recv", because="OneFlow has it in `comm`.")
def recv(tensor, src=None, group=None, tag=0):
    flow.comm.recv(src, tuple(tensor.shape), tensor.dtype, tensor.device, out=tensor)
    return src


@stands_for("torch.distributed.gather_object", because="OneFlow sends tensors alone.")
def gather_object(obj, object_gather_list=None, dst=0, group=None):
    if object_gather_list is not None:
        all_gather_object(object_gather_list, obj)


@stands_for("torch.distributed.get_global_rank", "torch.distributed.get_group_rank",
            because="OneFlow has one group, of all ranks.")  # fmt: skip
def rank_in_group(group, rank):
    return rank


@stands_for("torch.distributed.get_process_group_ranks", because="OneFlow has one group, of all ranks.")
def ranks_of_group(group=None):
    return list(range(flow.env.get_world_size()))


@stands_for("torch.distributed.get_node_local_rank", because="OneFlow has it in `env`.")
def get_node_local_rank(fallback_rank=None):
    return flow.env.get_local_rank()


@stands_for("torch.distributed.monitored_barrier", because="OneFlow has it in `comm`, without a time to wait.")
def monitored_barrier(group=None, timeout=None, wait_all_ranks=False):
    barrier()
