//! In which lines two texts differ: the shortest list of lines to take out and to put in, by the longest common
//! subsequence. Bounded: of long texts only that they differ is known.

/// The most pairs of lines that are held against each other, after equal beginnings and ends are set aside.
const MOST_PAIRS: usize = 4_000_000;
/// The most lines that are shown.
const MOST_LINES: usize = 80;
/// Equal lines shown around one that differs.
const AROUND: usize = 2;

/// A line, and whether it is in both texts, in the first only or in the second only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'t> {
    Both(&'t str),
    Out(&'t str),
    In(&'t str),
}

/// The differences as `-` and `+` lines with what is around them; empty where there are none.
pub(crate) fn diff(first: &str, second: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (first.lines().collect(), second.lines().collect());
    if a == b {
        return String::new();
    }
    let head = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let tails = a[head..].iter().rev().zip(b[head..].iter().rev());
    let tail = tails.take_while(|(a, b)| a == b).count();
    let (inner_a, inner_b) = (&a[head..a.len() - tail], &b[head..b.len() - tail]);
    if inner_a.len().saturating_mul(inner_b.len()) > MOST_PAIRS {
        return format!(
            "{} and {} lines that differ: too many to show\n",
            inner_a.len(),
            inner_b.len()
        );
    }
    let mut lines: Vec<Line<'_>> = a[..head].iter().map(|line| Line::Both(line)).collect();
    lines.extend(inner(inner_a, inner_b));
    lines.extend(a[a.len() - tail..].iter().map(|line| Line::Both(line)));
    shown(&lines)
}

/// The table of the longest common subsequence, walked from its begin.
fn inner<'t>(a: &[&'t str], b: &[&'t str]) -> Vec<Line<'t>> {
    let width = b.len() + 1;
    let mut longest = vec![0_u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i * width + j] = if a[i] == b[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            lines.push(Line::Both(a[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < a.len() && (j == b.len() || longest[(i + 1) * width + j] >= longest[i * width + j + 1])
        {
            lines.push(Line::Out(a[i]));
            i += 1;
        } else {
            lines.push(Line::In(b[j]));
            j += 1;
        }
    }
    lines
}

fn shown(lines: &[Line<'_>]) -> String {
    let differs = |at: usize| !matches!(lines[at], Line::Both(_));
    let near = |at: usize| {
        let last = (at + AROUND).min(lines.len() - 1);
        (at.saturating_sub(AROUND)..=last).any(differs)
    };
    let mut out = String::new();
    let mut written = 0_usize;
    let mut skipped = false;
    for (at, line) in lines.iter().enumerate() {
        if !near(at) {
            skipped = true;
            continue;
        }
        if written == MOST_LINES {
            let more = (at..lines.len()).filter(|at| differs(*at)).count();
            out += &["… and ", &more.to_string(), " more lines that differ\n"].concat();
            break;
        }
        if std::mem::take(&mut skipped) {
            out.push_str("  …\n");
        }
        let (sign, text) = match line {
            Line::Both(text) => (' ', text),
            Line::Out(text) => ('-', text),
            Line::In(text) => ('+', text),
        };
        out.push_str(format!("{sign} {text}").trim_end());
        out.push('\n');
        written += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_line_stands_between_its_neighbours() {
        let text = |rate: &str| format!("a\nb\nc\nd\n  rate: {rate}\ne\nf\ng\n");
        assert_eq!(
            diff(&text("1k/s"), &text("2k/s")),
            "  …\n  c\n  d\n-   rate: 1k/s\n+   rate: 2k/s\n  e\n  f\n"
        );
        assert_eq!(diff("a\nb", "a\nb\n"), "");
    }

    #[test]
    fn lines_that_moved_in_and_out_are_the_fewest() {
        assert_eq!(diff("a\nb\nc\n", "b\nc\nd\n"), "- a\n  b\n  c\n+ d\n");
        assert_eq!(diff("", "x\n"), "+ x\n");
        assert_eq!(diff("x\n", ""), "- x\n");
    }

    fn numbered(lines: std::ops::Range<u32>) -> String {
        lines.flat_map(|n| [n.to_string(), "\n".to_owned()]).collect()
    }

    #[test]
    fn long_texts_are_bounded() {
        let text = diff(&numbered(0..3_000), &numbered(100_000..103_000));
        assert!(text.contains("too many to show"), "{text}");
        let text = diff(&numbered(0..200), &numbered(1_000..1_200));
        assert!(
            text.lines().count() == MOST_LINES + 1 && text.ends_with("… and 320 more lines that differ\n"),
            "{text}"
        );
    }
}
