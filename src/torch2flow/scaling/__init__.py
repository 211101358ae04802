"""Plans that say which part of each tensor which rank holds, before any rank starts."""

from torch2flow.scaling.estimate import Estimate, estimate
from torch2flow.scaling.plan import Mesh, ShardingPlan, read_plan

__all__ = ["Estimate", "Mesh", "ShardingPlan", "estimate", "read_plan"]
