"""Small networks with hand-written gradients. Arrays are float64, batch first; every layer keeps what its backward pass needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray


class Layer:
    """A layer with parameters `p` and gradients `g` by name; `out` is its last output."""

    def __init__(self) -> None:
        self.p: dict[str, Array] = {}
        self.g: dict[str, Array] = {}
        self.out: Array = np.zeros(0)

    def forward(self, x: Array, train: bool) -> Array:
        raise RuntimeError("a layer needs a forward pass")

    def backward(self, d: Array) -> Array:
        raise RuntimeError("a layer needs a backward pass")


class Dense(Layer):
    """``x W + b`` on the last axis."""

    def __init__(self, n_in: int, n_out: int, rng: np.random.Generator, scale: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.p = {"weight": rng.normal(0, scale * np.sqrt(2.0 / n_in), (n_in, n_out)), "bias": np.full(n_out, bias)}

    def forward(self, x: Array, train: bool) -> Array:
        self.x = x
        return x @ self.p["weight"] + self.p["bias"]

    def backward(self, d: Array) -> Array:
        x2, d2 = self.x.reshape(-1, self.x.shape[-1]), d.reshape(-1, d.shape[-1])
        self.g = {"weight": x2.T @ d2, "bias": d2.sum(0)}
        return d @ self.p["weight"].T


class Activation(Layer):
    """relu, tanh or sigmoid."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Array, train: bool) -> Array:
        if self.kind == "relu":
            self.out = np.maximum(x, 0)
        elif self.kind == "tanh":
            self.out = np.tanh(x)
        else:
            self.out = 1 / (1 + np.exp(-np.clip(x, -60, 60)))
        return self.out

    def backward(self, d: Array) -> Array:
        if self.kind == "relu":
            return d * (self.out > 0)
        return d * (1 - self.out**2) if self.kind == "tanh" else d * self.out * (1 - self.out)

    @property
    def zero_fraction(self) -> float:
        """Share of units that are zero for every sample of the last batch."""
        return float(np.mean(np.all(self.out == 0, axis=0)))

    @property
    def saturated_fraction(self) -> float:
        """Share of outputs within 2 % of a bound."""
        if self.kind == "relu":
            return 0.0
        squashed = np.abs(self.out) if self.kind == "tanh" else np.abs(2 * self.out - 1)
        return float(np.mean(squashed > 0.98))


class Dropout(Layer):
    """Inverted dropout; identity in evaluation."""

    def __init__(self, rate: float, rng: np.random.Generator) -> None:
        super().__init__()
        self.rate, self.rng = rate, rng

    def forward(self, x: Array, train: bool) -> Array:
        self.mask = (self.rng.random(x.shape) >= self.rate) / (1 - self.rate) if train and self.rate else np.ones(1)
        return x * self.mask

    def backward(self, d: Array) -> Array:
        return d * self.mask


class Embedding(Layer):
    """Rows of a table, concatenated over the positions of a window (or kept as a sequence)."""

    def __init__(self, n: int, width: int, rng: np.random.Generator, flat: bool = True) -> None:
        super().__init__()
        self.p = {"weight": rng.normal(0, 0.3, (n, width))}
        self.flat = flat

    def forward(self, x: Array, train: bool) -> Array:
        self.index = x.astype(np.int64)
        picked = self.p["weight"][self.index]
        return picked.reshape(len(x), -1) if self.flat else picked

    def backward(self, d: Array) -> Array:
        grad = np.zeros_like(self.p["weight"])
        np.add.at(grad, self.index.ravel(), d.reshape(-1, grad.shape[1]))
        self.g = {"weight": grad}
        return np.zeros(1)


class Recurrent(Layer):
    """Elman network with tanh over axis 1; returns the last state."""

    def __init__(self, n_in: int, n: int, rng: np.random.Generator, scale: float = 1.0) -> None:
        super().__init__()
        orthogonal = np.linalg.qr(rng.normal(size=(n, n)))[0]
        self.p = {
            "weight_ih": rng.normal(0, scale / np.sqrt(n_in), (n_in, n)),
            "weight_hh": scale * 0.9 * orthogonal,
            "bias": np.zeros(n),
        }

    def forward(self, x: Array, train: bool) -> Array:
        self.x = x
        h = np.zeros((x.shape[0], self.p["bias"].size))
        self.states = [h]
        for t in range(x.shape[1]):
            h = np.tanh(x[:, t] @ self.p["weight_ih"] + h @ self.p["weight_hh"] + self.p["bias"])
            self.states.append(h)
        self.out = h
        return h

    def backward(self, d: Array) -> Array:
        self.g = {k: np.zeros_like(v) for k, v in self.p.items()}
        dx = np.zeros_like(self.x)
        for t in range(self.x.shape[1] - 1, -1, -1):
            d = d * (1 - self.states[t + 1] ** 2)
            self.g["weight_ih"] += self.x[:, t].T @ d
            self.g["weight_hh"] += self.states[t].T @ d
            self.g["bias"] += d.sum(0)
            dx[:, t] = d @ self.p["weight_ih"].T
            d = d @ self.p["weight_hh"].T
        return dx


class Conv(Layer):
    """1-D convolution of width 5, stride 2, over ``[batch, length, channels]``; `pool` averages over the length."""

    def __init__(self, n_in: int, n_out: int, rng: np.random.Generator, pool: bool = False, scale: float = 1.0) -> None:
        super().__init__()
        self.p = {"weight": rng.normal(0, scale * np.sqrt(2.0 / (5 * n_in)), (5 * n_in, n_out)), "bias": np.zeros(n_out)}
        self.pool = pool

    def forward(self, x: Array, train: bool) -> Array:
        self.shape = x.shape
        starts = np.arange(0, x.shape[1] - 4, 2)
        self.index = starts[:, None] + np.arange(5)
        self.columns = x[:, self.index].reshape(len(x), len(starts), -1)
        y = self.columns @ self.p["weight"] + self.p["bias"]
        self.mask = y > 0
        y = y * self.mask
        self.out = y.mean(1) if self.pool else y
        return self.out

    def backward(self, d: Array) -> Array:
        if self.pool:
            d = np.broadcast_to(d[:, None] / self.mask.shape[1], self.mask.shape)
        d = d * self.mask
        d2 = d.reshape(-1, d.shape[-1])
        self.g = {"weight": self.columns.reshape(-1, self.columns.shape[-1]).T @ d2, "bias": d2.sum(0)}
        back = (d @ self.p["weight"].T).reshape(len(d), len(self.index), 5, -1)
        dx = np.zeros(self.shape)
        for j in range(5):
            dx[:, self.index[:, j]] += back[:, :, j]
        return dx


@dataclass
class Net:
    """Layers in order. Parameters are named ``layer.name`` with the layer's position."""

    layers: list[Layer]
    frozen: frozenset[str] = frozenset()
    adam: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    t: int = 0

    def forward(self, x: Array, train: bool = False) -> Array:
        for layer in self.layers:
            x = layer.forward(x, train)
        return x

    def backward(self, d: Array) -> None:
        for layer in reversed(self.layers):
            d = layer.backward(d)

    def named(self) -> Iterator[tuple[str, Layer, str]]:
        """Name, layer and parameter key of every parameter."""
        for i, layer in enumerate(self.layers):
            for key in layer.p:
                yield f"{i}.{key}", layer, key

    def weights(self) -> list[tuple[str, Array, Array]]:
        """Name, value and gradient of every weight matrix (no biases)."""
        return [(name, layer.p[key], layer.g.get(key, np.zeros(1))) for name, layer, key in self.named() if "weight" in key]

    def activations(self) -> list[tuple[str, Activation]]:
        """The activation layers by position."""
        return [(str(i), layer) for i, layer in enumerate(self.layers) if isinstance(layer, Activation)]

    def gradient_norm(self) -> float:
        """Global L2 norm of the last gradients of the trainable parameters."""
        total = sum(float(np.sum(layer.g[key] ** 2)) for name, layer, key in self.named() if key in layer.g and name not in self.frozen)
        return float(np.sqrt(total))

    def update(self, lr: float, optimizer: str, weight_decay: float, factor: float) -> None:
        """One step of SGD with momentum 0.9 or Adam; gradients are multiplied by `factor` (clipping), decay is decoupled."""
        self.t += 1
        for name, layer, key in self.named():
            if name in self.frozen or key not in layer.g:
                continue
            grad = layer.g[key] * factor
            m, v = self.adam.get(name) or (np.zeros_like(grad), np.zeros_like(grad))
            if optimizer == "adam":
                m, v = 0.9 * m + 0.1 * grad, 0.999 * v + 0.001 * grad**2
                change = (m / (1 - 0.9**self.t)) / (np.sqrt(v / (1 - 0.999**self.t)) + 1e-8)
            else:
                m = 0.9 * m + grad
                change = m
            self.adam[name] = (m, v)
            layer.p[key] = layer.p[key] - lr * (change + weight_decay * layer.p[key] * ("weight" in key))
