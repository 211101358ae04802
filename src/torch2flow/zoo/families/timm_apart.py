"""timm's models that have a namesake in flowvision which computes something else or can't be built."""

from torch2flow.zoo.twins import Twin

POOLED = "timm pools and then normalises with an eps of 1e-6, flowvision normalises with groups and then pools"
UNBUILT = "flowvision's ResNeSt can't be built: it calls zeros_, which OneFlow 0.9.0 has not"

TWINS = (
    *(Twin(f"poolformer_{size}", f"poolformer_{size}", library="timm", differs=POOLED)
      for size in ("s12", "s24", "s36", "m36", "m48")),
    *(Twin(f"resnest{name}", f"resnest{name[:-1]}", library="timm", differs=UNBUILT)
      for name in ("50d", "101e", "200e", "269e")),
)  # fmt: skip
