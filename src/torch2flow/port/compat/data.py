"""Data sets, samplers, and batches."""

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.registry import stands_for


@stands_for("torch.utils.data.random_split", because="OneFlow's fails without a generator, and takes no fractions.")
def random_split(dataset, lengths, generator=None):
    lengths = list(lengths)
    if sum(lengths) <= 1 and any(not isinstance(each, int) for each in lengths):
        shares, total = lengths, len(dataset)
        lengths = [int(total * each) for each in shares]
        for place in range(total - sum(lengths)):
            lengths[place % len(lengths)] += 1
    if sum(lengths) != len(dataset):
        raise ValueError("Sum of input lengths does not equal the length of the input dataset!")
    order = (
        flow.randperm(len(dataset)) if generator is None else flow.randperm(len(dataset), generator=generator)
    ).tolist()
    parts, start = [], 0
    for length in lengths:
        parts.append(flow.utils.data.Subset(dataset, order[start : start + length]))
        start += length
    return parts


@stands_for("torch.utils.data.StackDataset", because="OneFlow has no `StackDataset`.")
class StackDataset(flow.utils.data.Dataset):
    def __init__(self, *args, **named):
        self.datasets = named or args
        lengths = {len(each) for each in (named.values() if named else args)}
        if len(lengths) != 1:
            raise ValueError("Size mismatch between datasets")
        (self.length,) = lengths

    def __getitem__(self, index):
        if isinstance(self.datasets, dict):
            return {key: each[index] for key, each in self.datasets.items()}
        return tuple(each[index] for each in self.datasets)

    def __len__(self):
        return self.length


@stands_for("torch.utils.data.WeightedRandomSampler", because="OneFlow has no `WeightedRandomSampler`.")
class WeightedRandomSampler(flow.utils.data.Sampler):
    def __init__(self, weights, num_samples, replacement=True, generator=None):
        self.weights = flow.tensor([float(each) for each in weights], dtype=flow.float32)
        self.num_samples, self.replacement = num_samples, replacement

    def __iter__(self):
        yield from flow.multinomial(self.weights, self.num_samples, self.replacement).tolist()

    def __len__(self):
        return self.num_samples


@stands_for(
    "torch.utils.data.default_collate",
    "torch.utils.data.dataloader.default_collate",
    "torch.utils.data._utils.collate.default_collate",
    because="OneFlow has it in a private module alone.",
)
def default_collate(batch):
    first = batch[0]
    if isinstance(first, flow.Tensor):
        return flow.stack(list(batch))
    if hasattr(first, "__array__"):
        import numpy as np

        return flow.tensor(np.stack([np.asarray(each) for each in batch]))
    if isinstance(first, bool | int | float):
        return flow.tensor(list(batch), dtype=flow.float64 if isinstance(first, float) else None)
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, dict):
        return {key: default_collate([each[key] for each in batch]) for key in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(list(each)) for each in zip(*batch, strict=True)))
    return [default_collate(list(each)) for each in zip(*batch, strict=True)]


@stands_for("torch.utils.data.default_convert", because="OneFlow has it in a private module alone.")
def default_convert(data):
    if hasattr(data, "__array__") and not isinstance(data, flow.Tensor):
        return flow.tensor(data)
    if isinstance(data, dict):
        return {key: default_convert(value) for key, value in data.items()}
    return [default_convert(each) for each in data] if isinstance(data, list | tuple) else data


@stands_for(
    "torch.utils.data.DataLoader",
    because="OneFlow's without a batch size refuses what is no tensor.",
    only_with=("batch_size==None",),
)
class DataLoader(flow.utils.data.DataLoader):
    def __init__(self, dataset, batch_size=1, shuffle=False, sampler=None, batch_sampler=None, num_workers=0,
                 collate_fn=None, *args, **named):  # fmt: skip
        if batch_size is None and batch_sampler is None:
            collate_fn = collate_fn or default_convert
        super().__init__(dataset, batch_size, shuffle, sampler, batch_sampler, num_workers, collate_fn, *args, **named)


@stands_for("torch.utils.data.ChainDataset", because="OneFlow has no `ChainDataset`.")
class ChainDataset(flow.utils.data.IterableDataset):
    def __init__(self, datasets):
        self.datasets = datasets

    def __iter__(self):
        for dataset in self.datasets:
            yield from dataset

    def __len__(self):
        return sum(len(each) for each in self.datasets)
