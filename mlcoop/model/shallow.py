"""Trees of depth two as arrays, and their exact Shapley and interaction values.

A tree of depth two is a sum over leaves of a product of two indicator functions, and the
interventional Shapley value of such a product has a closed form.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse


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


@lru_cache(maxsize=1)  # values and interactions of a fit are asked for one after the other
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


def shallow_shapley(
    trees: ShallowTrees, X: np.ndarray, background: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the interventional Shapley values of the trees' sum, and its mean over a background.

    Parameters
    ----------
    X : array of shape (n_rows, n_features)
    background : array of shape (n_background, n_features)

    Returns
    -------
    values : array of shape (n_rows, n_features)
    base : float
    """
    x, b = _goes_left(trees, X), _goes_left(trees, background)
    n_features = X.shape[1]
    root = np.zeros((len(trees.leaf), len(X)), dtype=np.float32)
    values = np.zeros((n_features, len(X)))
    base = 0.0
    for side in (0, 1):
        # this half of a tree is p (other + (leaf - other) q), p and q the ways of root and child
        leaf, other = trees.leaf[:, 2 * side], trees.leaf[:, 2 * side + 1]
        t = _terms(x, b, side, leaf - other)
        both = t.together - t.joint
        cross = t.first - t.second
        root += _column(other) * (t.p - t.mean_p) + (both + cross) / 2
        values += _to_owner(trees.feature[:, 1 + side], n_features) @ ((both - cross) / 2)
        base += float((other * t.mean_p[:, 0] + t.joint[:, 0]).sum())
    values += _to_owner(trees.feature[:, 0], n_features) @ root
    return np.ascontiguousarray(values.T), base


def shallow_interactions(
    trees: ShallowTrees, X: np.ndarray, background: np.ndarray
) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Return pairs of features, and their interventional Shapley interaction values.

    What the two features of a tree's half do together and neither alone: its value with both
    known, less with either, plus with none.

    Returns
    -------
    pairs : list of (int, int), smaller first
    values : array of shape (n_rows, n_pairs)
    """
    x, b = _goes_left(trees, X), _goes_left(trees, background)
    owners, values = [], []
    for side in (0, 1):
        root, child = trees.feature[:, 0], trees.feature[:, 1 + side]
        joint = np.flatnonzero((child >= 0) & (child != root))
        owners.append(np.sort(np.column_stack([root, child])[joint], axis=1))
        change = trees.leaf[joint, 2 * side] - trees.leaf[joint, 2 * side + 1]
        t = _terms(x[joint], b[joint], side, change)
        values.append(t.together - t.first - t.second + t.joint)
    pairs, which = np.unique(np.concatenate(owners), axis=0, return_inverse=True)
    summed = _to_owner(which.ravel(), len(pairs)) @ np.concatenate(values)
    return [(int(i), int(j)) for i, j in pairs], summed.T.astype(float)


class _Terms(NamedTuple):
    """A product of two ways, p and q, and its parts where one or both are not known."""

    p: np.ndarray
    mean_p: np.ndarray
    together: np.ndarray  # change * p q
    first: np.ndarray  # change * p E(q)
    second: np.ndarray  # change * E(p) q
    joint: np.ndarray  # change * E(p q)


def _terms(x: np.ndarray, b: np.ndarray, side: int, change: np.ndarray) -> _Terms:
    p, p_b = (x[:, 0], b[:, 0]) if side == 0 else (~x[:, 0], ~b[:, 0])
    q, q_b = x[:, 1 + side], b[:, 1 + side]
    mean_p, mean_q = _column(p_b.mean(axis=1)), _column(q_b.mean(axis=1))
    by = _column(change)
    joint = by * _column((p_b & q_b).mean(axis=1))
    return _Terms(p, mean_p, by * (p & q), (by * mean_q) * p, (by * mean_p) * q, joint)


def _column(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32)[:, None]


def _to_owner(owner: np.ndarray, n: int) -> sparse.csr_array:
    """Return a matrix that adds rows to those of their owner; -1 owns nothing."""
    at = np.flatnonzero(owner >= 0)
    ones = np.ones(len(at), dtype=np.float32)
    return sparse.csr_array((ones, (owner[at], at)), shape=(n, len(owner)))


def _goes_left(trees: ShallowTrees, X: np.ndarray) -> np.ndarray:
    """Return whether each row goes left at each split, shape (n_trees, 3, n_rows)."""
    left = np.ones((*trees.feature.shape, len(X)), dtype=bool)
    known: dict[tuple[int, float, bool], np.ndarray] = {}
    columns = np.ascontiguousarray(X.T, dtype=np.float32)
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
