"""Images unlike those of a calibration."""

import numpy as np

from quietpixel.imaging.familiarity import NAMES, fit_familiarity


def test_few_images_of_a_calibration_do_not_make_new_ones_of_their_kind_unlike() -> None:
    rng = np.random.default_rng(0)
    unlike = []
    for _ in range(40):
        found = fit_familiarity(list(rng.standard_normal((12, len(NAMES)))), range(12))
        assert found is not None
        new = rng.standard_normal((10, len(NAMES)))
        unlike += [found.differs_in(each) is not None for each in new]
        assert found.differs_in(new[0] + [0, 0, 0, 0, 0, 30]) == "content"
    assert np.mean(unlike) < 0.05
