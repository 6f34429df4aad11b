//! The standard normal distribution: its share below a value, and the value of a share.

use std::f64::consts::SQRT_2;

/// The share of a standard normal below `z`.
pub(super) fn cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / SQRT_2)
}

/// The value that a share of `q` is below; infinite at the ends, and 0 for what is no number.
///
/// Algorithm AS 241 (PPND16), relative error about 1e-16: M. J. Wichura, "The Percentage Points of the Normal
/// Distribution", Applied Statistics 37 (1988), 477-484.
pub(super) fn quantile(q: f64) -> f64 {
    if q.is_nan() {
        return 0.0;
    }
    let q = q.clamp(0.0, 1.0);
    let centred = q - 0.5;
    if centred.abs() <= 0.425 {
        let r = 0.180_625 - centred * centred;
        return centred * ratio(&A, &B, r);
    }
    let tail = if centred < 0.0 { q } else { 1.0 - q };
    if tail <= 0.0 {
        return f64::INFINITY.copysign(centred);
    }
    let r = (-tail.ln()).sqrt();
    let z = if r <= 5.0 {
        ratio(&C, &D, r - 1.6)
    } else {
        ratio(&E, &F, r - 5.0)
    };
    z.copysign(centred)
}

/// The ratio of two polynomials, coefficients from the highest power down.
fn ratio(above: &[f64; 8], below: &[f64; 8], x: f64) -> f64 {
    let at = |coefficients: &[f64; 8]| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    at(above) / at(below)
}

const A: [f64; 8] = [
    2_509.080_928_730_122_6,
    33_430.575_583_588_13,
    67_265.770_927_008_7,
    45_921.953_931_549_87,
    13_731.693_765_509_46,
    1_971.590_950_306_551_3,
    133.141_667_891_784_38,
    3.387_132_872_796_366_5,
];
const B: [f64; 8] = [
    5_226.495_278_852_854,
    28_729.085_735_721_943,
    39_307.895_800_092_71,
    21_213.794_301_586_597,
    5_394.196_021_424_751,
    687.187_007_492_057_9,
    42.313_330_701_600_91,
    1.0,
];
const C: [f64; 8] = [
    7.745_450_142_783_414e-4,
    0.022_723_844_989_269_184,
    0.241_780_725_177_450_6,
    1.270_458_252_452_368_4,
    3.647_848_324_763_204_5,
    5.769_497_221_460_691,
    4.630_337_846_156_546,
    1.423_437_110_749_683_5,
];
const D: [f64; 8] = [
    1.050_750_071_644_416_9e-9,
    5.475_938_084_995_345e-4,
    0.015_198_666_563_616_457,
    0.148_103_976_427_480_08,
    0.689_767_334_985_1,
    1.676_384_830_183_803_8,
    2.053_191_626_637_759,
    1.0,
];
const E: [f64; 8] = [
    2.010_334_399_292_288_1e-7,
    2.711_555_568_743_487_6e-5,
    0.001_242_660_947_388_078_4,
    0.026_532_189_526_576_124,
    0.296_560_571_828_504_87,
    1.784_826_539_917_291_3,
    5.463_784_911_164_114,
    6.657_904_643_501_103,
];
const F: [f64; 8] = [
    2.044_263_103_389_939_8e-15,
    1.421_511_758_316_446e-7,
    1.846_318_317_510_054_8e-5,
    7.868_691_311_456_133e-4,
    0.014_875_361_290_850_615,
    0.136_929_880_922_735_8,
    0.599_832_206_555_888,
    1.0,
];

#[cfg(test)]
mod tests {
    use super::{cdf, quantile};

    #[test]
    fn quantiles_are_those_of_the_published_tables() {
        // Wichura's own checks, and the usual table.
        let table = [
            (0.25, -0.674_489_750_196_081_7),
            (0.001, -3.090_232_306_167_813_5),
            (1e-20, -9.262_340_089_798_409),
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.99, 2.326_347_874_040_841),
            (0.9999, 3.719_016_485_455_709),
        ];
        for (q, z) in table {
            assert!(
                (quantile(q) - z).abs() < 1e-9 * z.abs().max(1.0),
                "{q}: {}",
                quantile(q)
            );
        }
    }

    #[test]
    fn the_quantile_inverts_the_share() {
        for q in [
            1e-9,
            1e-4,
            0.01,
            0.07,
            0.08,
            0.3,
            0.5,
            0.92,
            0.93,
            0.9999,
            1.0 - 1e-9,
        ] {
            assert!((cdf(quantile(q)) - q).abs() < 1e-13, "{q}");
        }
    }

    #[test]
    fn the_ends_are_infinite_and_no_number_is_the_middle() {
        assert_eq!((quantile(0.0), quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!(
            (quantile(-1.0), quantile(2.0)),
            (f64::NEG_INFINITY, f64::INFINITY)
        );
        assert!(quantile(f64::NAN).abs() < f64::MIN_POSITIVE);
    }
}
