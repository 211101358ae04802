"""Plans that say which part of each tensor which rank holds, before any rank starts; and checkpoints cut by them."""

from torch2flow.checkpoints.sharding.sharding_plan import Mesh, ShardingPlan, read_sharding_plan

__all__ = ["Mesh", "ShardingPlan", "read_sharding_plan"]
