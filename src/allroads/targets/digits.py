"""The 8×8 digits of scikit-learn: small real images."""

from __future__ import annotations

from allroads.targets.checks import boolean, generator
from allroads.targets.target import Target


def digits(
    *,
    flatten: bool = False,
    shuffle_labels: bool = False,
    name: str | None = None,
    train_fraction: float | None = None,
    train_size: int | None = None,
    held_out_size: int | None = None,
    seed: int = 0,
) -> Target:
    """1,797 handwritten digits as images ``[N, 8, 8, 1]`` scaled to 0 … 1, ten classes.

    Args:
        flatten: Give rows ``[N, 64]``.
        shuffle_labels: Permute the labels over the images: a control with the same inputs and nothing to
            generalise.
        name: Display name, default ``"digits"``.
        train_fraction: Share that trains, default 0.8.
        train_size: How many train, in place of the share.
        held_out_size: How many are held out, default the rest.
        seed: Decides the split and the shuffling.

    Returns:
        The target. Truth: ``source`` and ``shuffled_labels``.

    Raises:
        InputError: If an option cannot be used.

    References: [alpaydin1998]

    Example:
        >>> digits(train_size=1000).train.inputs.shape
        (1000, 8, 8, 1)
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = data.images[..., None] / 16.0, data.target
    if boolean("shuffle_labels", shuffle_labels):
        labels = generator(seed, "shuffle labels").permutation(labels)
    return Target(
        name or ("digits, labels shuffled" if shuffle_labels else "digits"),
        inputs=images.reshape(len(images), -1) if boolean("flatten", flatten) else images,
        labels=labels,
        classes=10,
        train_fraction=train_fraction,
        train_size=train_size,
        held_out_size=held_out_size,
        seed=seed,
        truth={"source": "scikit-learn load_digits", "shuffled_labels": shuffle_labels},
    )
