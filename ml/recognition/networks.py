"""The networks: a convolutional CTC reader in colour, and a small one that tells captcha types apart.

Both take `images` (batch, height, width, 3) uint8, of any width that the input size allows, and carry their
normalisation with them. They are written with Keras alone, so they train on TensorFlow and on JAX.
"""

import keras
import numpy as np
from keras import layers

from ml.recognition.ctc import Tensor
from ml.recognition.images import InputSize

FRAME_WIDTH = 4
"""Columns of the input that one frame of the reader's output stands for."""

# A tenth of the usual inertia: batches differ much (style, width), and a run is short.
_BATCH_NORM_MOMENTUM = 0.98


def reader_network(classes: int, size: InputSize) -> keras.Model:
    """The reader: `images` to `logits` (batch, width // FRAME_WIDTH, classes) float32, class 0 the blank.

    Two halvings of the width leave a frame every four columns; three of the height leave five rows, which
    one convolution folds into the frame. Three convolutions along the frames then see 13 of them, more than
    the widest character. 0.53 M parameters; the narrow stem is where speed is won: the first layers see most
    pixels.
    """
    images = keras.Input((size.height, None, 3), dtype="uint8", name="images")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="normalise")(images)
    x = _block(x, 16, 5, strides=2, name="stem")
    x = _block(x, 32, 3, name="stage1")
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = _block(x, 64, 3, name="stage2a")
    x = _block(x, 64, 3, name="stage2b", residual=True)
    x = layers.MaxPooling2D((2, 1), name="pool2")(x)
    x = _block(x, 96, 3, name="stage3a")
    x = _block(x, 96, 3, name="stage3b", residual=True)
    x = _block(x, 128, (size.height // 8, 1), padding="valid", name="fold")
    x = _block(x, 128, (1, 5), name="context", residual=True)
    x = _block(x, 128, (1, 5), name="context2", residual=True)
    x = _block(x, 128, (1, 5), name="context3", residual=True)
    x = layers.Dropout(0.1, name="dropout")(x)
    x = layers.Conv2D(classes, 1, name="head", dtype="float32")(x)
    logits = layers.Reshape((-1, classes), name="logits", dtype="float32")(x)
    return keras.Model(images, logits, name="reader")


def type_network(labels: int, size: InputSize) -> keras.Model:
    """The type model: `images` to `logits` (batch, labels) float32. 0.02 M parameters."""
    images = keras.Input((size.height, None, 3), dtype="uint8", name="images")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="normalise")(images)
    x = _block(x, 16, 7, strides=4, name="stem")
    x = _block(x, 32, 3, strides=2, name="stage1")
    x = _block(x, 48, 3, strides=2, name="stage2")
    # Where something is says as much as what: the mean alone cannot tell circles at the top from below.
    x = layers.Concatenate(name="pooled")(
        [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]
    )
    x = layers.Dropout(0.1, name="dropout")(x)
    logits = layers.Dense(labels, name="logits", dtype="float32")(x)
    return keras.Model(images, logits, name="types")


def copy_weights(
    source: keras.Model, target: keras.Model, *, skip: frozenset[str] = frozenset({"head"})
) -> int:
    """Copy the weights of every layer that both networks have under one name; return how many layers.

    A residual block that `source` lacks starts as the identity, so a deeper network reads as the one it
    comes from did. Raises ValueError where a layer of the same name has another shape.
    """
    known = {layer.name for layer in source.layers}
    copied = 0
    for layer in target.layers:
        if not layer.weights or layer.name in skip:
            continue
        if layer.name in known:
            layer.set_weights(source.get_layer(layer.name).get_weights())
            copied += 1
        elif isinstance(layer, layers.BatchNormalization):
            layer.gamma.assign(np.zeros(layer.gamma.shape, np.float32))
    return copied


def _block(
    x: Tensor,
    filters: int,
    kernel: int | tuple[int, int],
    *,
    name: str,
    strides: int = 1,
    padding: str = "same",
    residual: bool = False,
) -> Tensor:
    """Convolution, batch normalisation, ReLU; a residual one adds its input before the ReLU."""
    y = layers.Conv2D(filters, kernel, strides=strides, padding=padding, use_bias=False, name=f"{name}_conv")(
        x
    )
    y = layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM, name=f"{name}_norm")(y)
    if residual:
        y = layers.Add(name=f"{name}_add")([y, x])
    return layers.ReLU(name=f"{name}_relu")(y)
