"""What the doctor finds in products of matrices."""

import numpy as np
import pytest

from allroads.studies import doctor


def products():
    """This check alone: others import PyTorch in another process."""
    return doctor._products()


def test_products_of_this_processor_are_exact_to_single_precision():
    assert not products().problem
    assert float(products().found.split()[-1]) < 1e-6


@pytest.mark.parametrize(("bits", "wrong"), [(20, False), (10, True), (7, True)])
def test_products_rounded_to_few_bits_are_a_problem_with_a_remedy(monkeypatch, bits, wrong):
    def rounded(array):
        fraction, exponent = np.frexp(array)
        return np.ldexp(np.round(fraction * 2**bits) / 2**bits, exponent)

    monkeypatch.setattr(doctor, "_product", lambda left, right: rounded(left) @ rounded(right))
    assert bool(products().problem) == wrong
    assert ("JAX_DEFAULT_MATMUL_PRECISION" in products().remedy) == wrong


def test_a_product_that_cannot_be_made_ends_no_examination(monkeypatch):
    def broken(left, right):
        raise RuntimeError("no device")

    monkeypatch.setattr(doctor, "_product", broken)
    assert products().found == "RuntimeError: no device"
    assert products().problem and products().remedy
