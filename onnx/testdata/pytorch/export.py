"""Exports layers as PyTorch spells them before opset 17, and writes what they
make of one input to index.json.

    python export.py    # made with PyTorch 1.13.1
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(1)


class Function(nn.Module):
    def __init__(self, f, *modules):
        super().__init__()
        self.f, self.modules_ = f, nn.ModuleList(modules)

    def forward(self, x):
        return self.f(x, *self.modules_)


def random(module):
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn_like(p) / 2)
    return module.eval()


def rms(x):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def channels(x):
    mean = x.mean(1, keepdim=True)
    return (x - mean) / torch.sqrt((x - mean).pow(2).mean(1, keepdim=True) + 1e-6)


def unbiased(x):
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True) + 1e-5)


def softmax(x):
    e = torch.exp(x - x.amax(1, keepdim=True))
    return e / e.sum(1, keepdim=True)


x = torch.randn(1, 4, 6)
index = {}
for name, module in {
    "layer_norm": nn.LayerNorm(6),
    "layer_norm_2": nn.LayerNorm((4, 6)),
    "normalize": Function(lambda x: F.normalize(x, dim=1)),
    "rms_norm": Function(rms),
    "channels": Function(channels),
    "unbiased": Function(unbiased),
    "softmax": Function(softmax),
    "log_softmax": Function(lambda x: x - torch.logsumexp(x, -1, keepdim=True)),
    "attention": Function(lambda x, m: m(x, x, x)[0], nn.MultiheadAttention(6, 2, batch_first=True)),
    "encoder": nn.TransformerEncoderLayer(6, 2, 8, activation="gelu", batch_first=True),
}.items():
    random(module)
    torch.onnx.export(module, (x,), name + ".onnx", opset_version=16, input_names=["x"], output_names=["y"])
    with torch.no_grad():
        index[name] = {"x": x.flatten().tolist(), "y": module(x).flatten().tolist()}

with open("index.json", "w") as f:
    entries = (f' "{k}": {{\n  "x": {v["x"]},\n  "y": {v["y"]}\n }}' for k, v in index.items())
    f.write("{\n" + ",\n".join(entries) + "\n}\n")
