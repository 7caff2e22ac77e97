//! Small pictures of numbers: lengths and points for SVG, in whole units. Pure.

use std::fmt::Write as _;

/// How long a bar is.
pub(crate) const BAR: u32 = 1000;
/// The least that can be seen of a bar.
const SLIVER: u32 = 8;

/// A bar of places: what is sold, then what is held, then what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) sold: u32,
    pub(crate) held: u32,
}

impl Bar {
    /// The parts of a bar that is [`BAR`] long. What is there at all can be seen, and the parts never are longer than the whole.
    pub(crate) fn new(sold: u32, held: u32, capacity: u32) -> Self {
        let length = |places: u32| {
            let length = u64::from(places) * u64::from(BAR) / u64::from(capacity.max(1));
            let length = u32::try_from(length).unwrap_or(BAR);
            if places == 0 { 0 } else { length.clamp(SLIVER, BAR) }
        };
        let held = length(held);
        let sold = length(sold).min(BAR - if held == 0 { 0 } else { SLIVER });
        Self { sold, held: held.min(BAR - sold) }
    }
}

/// How wide and how high a sparkline is.
pub(crate) const WIDTH: u32 = 600;
pub(crate) const HEIGHT: u32 = 96;
/// What is left free around it, for the thickness of the line.
const MARGIN: u32 = 4;

/// A line through numbers that come in equal steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sparkline {
    /// The points of the line, as `points` of a polyline has them.
    pub(crate) line: String,
    /// The same, closed along the ground.
    pub(crate) area: String,
}

impl Sparkline {
    /// None if there are fewer than two numbers. The ground is 0; the largest number reaches the top.
    pub(crate) fn new(values: &[u32]) -> Option<Self> {
        let steps = u32::try_from(values.len()).ok()?.checked_sub(1).filter(|steps| *steps > 0)?;
        let most = values.iter().copied().max().unwrap_or(0).max(1);
        let (wide, high, ground) = (WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN, HEIGHT - MARGIN);
        let mut line = String::new();
        for (step, value) in (0..).zip(values) {
            let (x, y) = (MARGIN + wide * step / steps, ground - scaled(*value, high, most));
            let gap = if step == 0 { "" } else { " " };
            // A String takes whatever is written.
            let _ = write!(line, "{gap}{x},{y}");
        }
        let area = format!("{MARGIN},{ground} {line} {},{ground}", MARGIN + wide);
        Some(Self { line, area })
    }
}

fn scaled(value: u32, length: u32, most: u32) -> u32 {
    u32::try_from(u64::from(value) * u64::from(length) / u64::from(most)).unwrap_or(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_what_there_is_and_no_more() {
        for ((sold, held, capacity), expected) in [
            ((0, 0, 100), (0, 0)),
            ((50, 25, 100), (500, 250)),
            ((100, 0, 100), (1000, 0)),
            ((1, 1, 1_000_000), (8, 8)),
            ((999_999, 1, 1_000_000), (992, 8)),
            ((3, 1, 0), (992, 8)),
            ((u32::MAX, u32::MAX, 1), (992, 8)),
        ] {
            let bar = Bar::new(sold, held, capacity);
            assert_eq!((bar.sold, bar.held), expected, "{sold} and {held} of {capacity}");
            assert!(bar.sold + bar.held <= BAR);
        }
    }

    #[test]
    fn a_line_goes_from_end_to_end_and_its_largest_number_to_the_top() {
        let spark = Sparkline::new(&[0, 4, 2]).unwrap();
        assert_eq!(spark.line, "4,92 300,4 596,48");
        assert_eq!(spark.area, "4,92 4,92 300,4 596,48 596,92");
        assert_eq!(Sparkline::new(&[0, 0]).unwrap().line, "4,92 596,92");
        assert_eq!(Sparkline::new(&[u32::MAX, 0]).unwrap().line, "4,4 596,92");
        assert_eq!((Sparkline::new(&[]), Sparkline::new(&[7])), (None, None));
    }
}
