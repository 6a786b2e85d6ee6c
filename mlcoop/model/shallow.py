"""Trees of depth two as arrays, and their exact Shapley and interaction values.

A tree of depth two is a sum over leaves of a product of two indicator functions, and the
interventional Shapley value of such a product has a closed form.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ShallowTrees:
    """Trees of depth at most two.

    Attributes
    ----------
    feature, threshold, missing_left : arrays of shape (n_trees, 3)
        Split of the root, of its left and of its right child; feature -1 where there is none, and
        all goes left.
    leaf : array of shape (n_trees, 4)
        Values of left-left, left-right, right-left, right-right; a leaf that stands for two or
        all of them is named so often.
    """

    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    leaf: np.ndarray

    @property
    def used(self) -> np.ndarray:
        """Return the (tree, split) positions that hold a split."""
        return np.argwhere(self.feature >= 0)


def read_shallow(booster: Any) -> ShallowTrees | None:
    """Return an xgboost Booster's trees as arrays, None where one is deeper than two."""
    trees = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"][
        "trees"
    ]
    n = len(trees)
    feature, threshold = np.full((n, 3), -1), np.zeros((n, 3), dtype=np.float32)
    missing_left, leaf = np.ones((n, 3), dtype=bool), np.zeros((n, 4))
    for t, tree in enumerate(trees):
        left, right = tree["left_children"], tree["right_children"]

        def note(k: int, node: int, t: int = t, tree: Any = tree) -> None:
            feature[t, k] = tree["split_indices"][node]
            threshold[t, k] = tree["split_conditions"][node]
            missing_left[t, k] = bool(tree["default_left"][node])

        ends = [0, 0, 0, 0]
        if left[0] >= 0:
            note(0, 0)
            for side, child in enumerate((left[0], right[0])):
                branches = [child, child]
                if left[child] >= 0:
                    note(1 + side, child)
                    branches = [left[child], right[child]]
                    if any(left[b] >= 0 for b in branches):
                        return None
                ends[2 * side : 2 * side + 2] = branches
        # xgboost keeps a leaf's value in the array of split conditions
        leaf[t] = [tree["split_conditions"][node] for node in ends]
    return ShallowTrees(feature, threshold, missing_left, leaf)


@dataclass(frozen=True)
class LeafShapley:
    """Shapley values of the explained rows as a linear function of the leaves.

    Attributes
    ----------
    parts : array of shape (n_rows, n_trees * 4 * 2), float32
        Part of each leaf that goes to the root's feature, and to the child's.
    owner : int array of shape (n_trees * 4 * 2,)
    mean : array of shape (n_trees, 4)
        Share of the background in each leaf.
    n_features : int
    """

    parts: np.ndarray
    owner: np.ndarray
    mean: np.ndarray
    n_features: int

    def values(self, leaf: np.ndarray) -> tuple[np.ndarray, float]:
        """Return values of shape (n_rows, n_features), and the base value."""
        spread = np.zeros((len(self.owner), self.n_features), dtype=np.float32)
        spread[np.arange(len(self.owner)), self.owner] = np.repeat(leaf.ravel(), 2)
        return (self.parts @ spread).astype(float), float((self.mean * leaf).sum())


def leaf_shapley(trees: ShallowTrees, X: np.ndarray, background: np.ndarray) -> LeafShapley:
    """Return the interventional Shapley values of every leaf's indicator.

    Parameters
    ----------
    X : array of shape (n_rows, n_features)
    background : array of shape (n_background, n_features)
    """
    x = _goes_left(trees, np.asarray(X, dtype=np.float32))
    b = _goes_left(trees, np.asarray(background, dtype=np.float32))
    n_trees = len(trees.leaf)
    parts = np.empty((n_trees, 4, 2, len(X)), dtype=np.float32)
    mean = np.empty((n_trees, 4))
    root = np.maximum(trees.feature[:, 0], 0)
    owner = np.empty((n_trees, 4, 2), dtype=int)
    for end in range(4):
        side, branch = divmod(end, 2)
        p = x[:, 0] if side == 0 else ~x[:, 0]
        p_b = b[:, 0] if side == 0 else ~b[:, 0]
        q = x[:, 1 + side] if branch == 0 else ~x[:, 1 + side]
        q_b = b[:, 1 + side] if branch == 0 else ~b[:, 1 + side]
        mean_p, mean_q = p_b.mean(axis=1)[:, None], q_b.mean(axis=1)[:, None]
        joint = (p_b & q_b).mean(axis=1)[:, None]
        both = (p & q) - joint
        cross = p * mean_q - mean_p * q
        parts[:, end, 0], parts[:, end, 1] = 0.5 * (both + cross), 0.5 * (both - cross)
        mean[:, end] = joint[:, 0]
        child = trees.feature[:, 1 + side]
        owner[:, end, 0], owner[:, end, 1] = root, np.where(child >= 0, child, root)
    flat = np.ascontiguousarray(parts.reshape(-1, len(X)).T)
    return LeafShapley(flat, owner.ravel(), mean, X.shape[1])


@dataclass(frozen=True)
class LeafInteractions:
    """What two features of a leaf's path do together and neither alone, for every leaf.

    Attributes
    ----------
    parts : array of shape (n_rows, n_leaves), float32
        For a leaf's indicator: its interventional value with both features known, less with
        either, plus with none.
    pairs : int array of shape (n_pairs, 2)
        Pairs of features, smaller first.
    which : int array of shape (n_leaves,)
        The pair of each leaf. Leaves that hang on one feature only are left out.
    leaf : int array of shape (n_leaves,)
        Position of each leaf among all.
    """

    parts: np.ndarray
    pairs: np.ndarray
    which: np.ndarray
    leaf: np.ndarray

    def values(self, leaf: np.ndarray) -> np.ndarray:
        """Return interaction values of shape (n_rows, n_pairs) for some leaf values."""
        spread = np.zeros((len(self.which), len(self.pairs)), dtype=np.float32)
        spread[np.arange(len(self.which)), self.which] = leaf.ravel()[self.leaf]
        return (self.parts @ spread).astype(float)


def leaf_interactions(
    trees: ShallowTrees, X: np.ndarray, background: np.ndarray
) -> LeafInteractions:
    """Return the interventional Shapley interaction values of every leaf's indicator."""
    x = _goes_left(trees, np.asarray(X, dtype=np.float32))
    b = _goes_left(trees, np.asarray(background, dtype=np.float32))
    parts = np.empty((len(trees.leaf), 4, len(X)), dtype=np.float32)
    pairs = np.empty((len(trees.leaf), 4, 2), dtype=int)
    root = np.maximum(trees.feature[:, 0], 0)
    for end in range(4):
        side, branch = divmod(end, 2)
        p, p_b = (x[:, 0], b[:, 0]) if side == 0 else (~x[:, 0], ~b[:, 0])
        q, q_b = x[:, 1 + side], b[:, 1 + side]
        if branch:
            q, q_b = ~q, ~q_b
        mean_p, mean_q = p_b.mean(axis=1)[:, None], q_b.mean(axis=1)[:, None]
        parts[:, end] = (p & q) - p * mean_q - mean_p * q + (p_b & q_b).mean(axis=1)[:, None]
        child = trees.feature[:, 1 + side]
        child = np.where(child >= 0, child, root)
        pairs[:, end, 0], pairs[:, end, 1] = np.minimum(root, child), np.maximum(root, child)
    flat = pairs.reshape(-1, 2)
    joint = np.flatnonzero(flat[:, 0] != flat[:, 1])
    found, which = np.unique(flat[joint], axis=0, return_inverse=True)
    kept = np.ascontiguousarray(parts.reshape(-1, len(X))[joint].T)
    return LeafInteractions(kept, found, which.ravel(), joint)


def _goes_left(trees: ShallowTrees, X: np.ndarray) -> np.ndarray:
    """Return whether each row goes left at each split, shape (n_trees, 3, n_rows)."""
    left = np.ones((*trees.feature.shape, len(X)), dtype=bool)
    known: dict[tuple[int, float, bool], np.ndarray] = {}
    columns = np.ascontiguousarray(X.T)
    for t, k in trees.used:
        key = (
            int(trees.feature[t, k]),
            float(trees.threshold[t, k]),
            bool(trees.missing_left[t, k]),
        )
        if key not in known:
            column = columns[key[0]]
            with np.errstate(invalid="ignore"):
                below = column < np.float32(key[1])
            known[key] = np.where(np.isnan(column), key[2], below)
        left[t, k] = known[key]
    return left
