//! Text of unknown origin made safe to look at.
//!
//! Names, error texts and logs come from the programs under test. A control character could move a terminal's cursor or
//! break an XML document; a bidirectional override could show a name other than the one that is there. Both become
//! visible signs. Escaping for a format is the renderer's own duty and comes after.

/// `text` with every control character but line end and tab made visible.
pub(crate) fn visible(text: &str) -> String {
    text.chars().filter(|c| *c != '\r').map(sign).collect()
}

/// `text` on one line, white space squeezed.
pub(crate) fn on_one_line(text: &str) -> String {
    visible(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `text` on one line and at most `most` characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let line = on_one_line(text);
    if line.chars().count() <= most {
        return line;
    }
    let kept: String = line.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// `text` with a space that must not be broken between a number and its unit.
pub(crate) fn bound(text: &str) -> String {
    const UNITS: [&str; 13] = [
        "µs", "ms", "s", "min", "h", "%", "B", "KiB", "MiB", "GiB", "TiB", "users", "cores",
    ];
    let mut words = text.split(' ');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let unit = word.trim_end_matches(['.', ',', ';', ':', ')']);
        let joined = out.ends_with(|c: char| c.is_ascii_digit()) && UNITS.contains(&unit);
        out.push(if joined { '\u{a0}' } else { ' ' });
        out.push_str(word);
    }
    out
}

fn sign(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        // The control pictures of Unicode lie in the order of the characters that they show.
        '\0'..='\x1f' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
        '\x7f' => '\u{2421}',
        // C1 controls, marks and overrides of direction, line and paragraph separators, what is no character.
        '\u{80}'..='\u{9f}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}'
        | '\u{fffe}'..='\u{ffff}' => '\u{fffd}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_are_shown_not_obeyed() {
        assert_eq!(visible("a\x1b[2Jb\0\x7f\u{9b}"), "a␛[2Jb␀␡\u{fffd}");
        assert_eq!(visible("user\u{202e}gpj.exe"), "user\u{fffd}gpj.exe");
        assert_eq!(visible("line\r\nline\tend"), "line\nline\tend");
    }

    #[test]
    fn a_number_keeps_its_unit() {
        assert_eq!(
            bound("P99 was 683 µs, 4 faults in 3 min 20 s."),
            "P99 was 683\u{a0}µs, 4 faults in 3\u{a0}min 20\u{a0}s."
        );
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(shortened("ärger\n mit  ümlauten", 9), "ärger mi…");
        assert_eq!(shortened("kurz", 9), "kurz");
    }
}
