"""Gradients as operators: an author's own backward that takes a gradient itself calls them (`torch.autograd.grad`)."""

from torch2flow.models.lowering.lazy import flow
from torch2flow.models.lowering.registry import operator


@operator("aten.sigmoid_backward")
def sigmoid_backward(grad_output, output):
    return grad_output * output * (1 - output)


@operator("aten.tanh_backward")
def tanh_backward(grad_output, output):
    return grad_output * (1 - output * output)


@operator("aten.threshold_backward")
def threshold_backward(grad_output, self, threshold):
    return flow.where(self > threshold, grad_output, flow.zeros_like(grad_output))


@operator("aten.leaky_relu_backward")
def leaky_relu_backward(grad_output, self, negative_slope, self_is_result):
    return flow.where(self > 0, grad_output, grad_output * negative_slope)


@operator("aten.hardtanh_backward")
def hardtanh_backward(grad_output, self, min_val, max_val):
    inside = flow.logical_and(self > min_val, self < max_val)
    return flow.where(inside, grad_output, flow.zeros_like(grad_output))


@operator("aten.silu_backward")
def silu_backward(grad_output, self):
    gate = flow.sigmoid(self)
    return grad_output * gate * (1 + self * (1 - gate))


@operator("aten.softplus_backward")
def softplus_backward(grad_output, self, beta, threshold):
    gate = flow.sigmoid(self * beta)
    return grad_output * flow.where(self * beta > threshold, flow.ones_like(gate), gate)


@operator("aten._softmax_backward_data")
def softmax_backward(grad_output, output, dim, input_dtype):
    product = grad_output * output
    return product - output * product.sum(dim=dim, keepdim=True)


@operator("aten._log_softmax_backward_data")
def log_softmax_backward(grad_output, output, dim, input_dtype):
    return grad_output - flow.exp(output) * grad_output.sum(dim=dim, keepdim=True)


@operator("aten.mse_loss_backward")
def mse_loss_backward(grad_output, self, target, reduction):
    gradient = 2 * (self - target) * grad_output
    return gradient / self.numel() if reduction == 1 else gradient
