//! From samples to figures: medians, percentiles, and an interval that assumes no distribution.

/// The middle of `samples`; NaN of none.
pub fn median(samples: &[f64]) -> f64 {
    let sorted = sorted(samples);
    let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => f64::NAN,
    }
}

/// The 95 % confidence interval of the median by order statistics: the number of samples below the true median is
/// binomial with p = ½, so the outermost may be left out while both tails together stay below 5 %. Of fewer than six
/// samples it is their whole span, which then holds less than 95 %.
pub fn interval(samples: &[f64]) -> (f64, f64) {
    let sorted = sorted(samples);
    let count = sorted.len();
    let mut left_out = 0_usize;
    let mut exactly = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut at_most = exactly;
    loop {
        // Now for one more: P(exactly left_out + 1 of the samples lie below), and P(at most so many do).
        exactly *= count.saturating_sub(left_out) as f64 / (left_out + 1) as f64;
        at_most += exactly;
        if at_most * 2.0 > 0.05 || (left_out + 1) * 2 >= count {
            break;
        }
        left_out += 1;
    }
    match (sorted.get(left_out), sorted.get(count.wrapping_sub(left_out + 1))) {
        (Some(low), Some(high)) => (*low, *high),
        _ => (f64::NAN, f64::NAN),
    }
}

/// The value that `share` of the samples do not exceed.
pub fn percentile(samples: &mut [u32], share: f64) -> u32 {
    samples.sort_unstable();
    let rank = (samples.len() as f64 * share).ceil() as usize;
    samples.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}
