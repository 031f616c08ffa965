# %% [markdown]
# # What lies around?
#
# A small convolutional network of PyTorch has learned 400 digits. How does the loss look around its weights? The usual
# picture takes two random directions. The spectrum of the Hessian says what such a picture leaves out.

# %%
import altair as alt
import jax
import torch
from sklearn.datasets import load_digits

from allroads import Problem, from_torch, loss_plane, random_plane, spectrum

images, labels = load_digits(return_X_y=True)
inputs = torch.tensor(images[:400].reshape(-1, 1, 8, 8) / 16, dtype=torch.float32)
labels = torch.tensor(labels[:400])

torch.manual_seed(0)
module = torch.nn.Sequential(
    torch.nn.Conv2d(1, 8, 3, padding=1),
    torch.nn.ReLU(),
    torch.nn.MaxPool2d(2),
    torch.nn.Flatten(),
    torch.nn.Linear(128, 10),
)
optimiser = torch.optim.Adam(module.parameters(), 0.01)
for _ in range(200):
    optimiser.zero_grad()
    torch.nn.functional.cross_entropy(module(inputs), labels).backward()
    optimiser.step()

# %% [markdown]
# The module becomes a network and a point of it. The point has 1,370 parameters.

# %%
network, params = from_torch(module, inputs)
problem = Problem(network, "cross_entropy", inputs, labels)
print(f"loss {float(problem.mean(params)):.4f}")

# %% [markdown]
# The spectrum: how many directions are curved, and how much.

# %%
found = spectrum(problem, params, top=2)
steepest, mean = float(found.eigenvalues[0]), found.trace.value / 1370
print(f"largest curvature {steepest:.2f}, mean of all 1370 curvatures {mean:.4f}, ratio {steepest / mean:.0f}")
steep_count = round(1370 * (1 - found.density.below(steepest / 100)))
print(f"directions with a curvature above a hundredth of the largest: {steep_count}")

# %% [markdown]
# Two planes through the point: of two random directions, normalised filter by filter, and of the two directions of the
# largest curvature. The loss is read off at one distance on both.

# %%
around = random_plane(problem, params, points=25, span=0.3)
size = 0.3 * around.stats["lengths"][0]
ends = [jax.tree.map(lambda w, e, k=k: w + size * e[k], params, found.eigenvectors) for k in (0, 1)]
steep = loss_plane(problem, params, *ends, names=("point", "steepest", "second"), points=25)
random = (float(around.losses[12, -1]), float(around.losses[-1, 12]))  # from the middle to the right, and up
print(f"distance {size:.1f} from the point, along two random directions: loss {random[0]:.2f} and {random[1]:.2f}")
print(f"as far along the two steepest: {steep.mark_losses[1]:.1f} and {steep.mark_losses[2]:.1f}")

# %% [markdown]
# The picture. Left, a wide bowl. Right, as far from the point, the same loss rises many times as high. Both are true.

# %%
picture = alt.hconcat(around.plot(), steep.plot()).resolve_scale(color="independent")
picture.save("what_lies_around.png", ppi=72)
