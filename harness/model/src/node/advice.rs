//! Guesses at what lies behind a syntax error. They only advise; nothing depends on them.

/// What most often lies behind a syntax error on this line.
pub(super) fn explain(line: &str, info: &str) -> Option<String> {
    if line.trim_start_matches(' ').starts_with('\t') || info.contains("tab") {
        return Some("YAML is indented by spaces, never by tabs".to_owned());
    }
    if line.contains("${") {
        return Some("within `[` or `{`, put text that holds `${NAME}` in quotes".to_owned());
    }
    if let Some(name) = crate::placeholder::find_unquoted(line) {
        return Some(format!("put text that holds `{name}` in quotes"));
    }
    if line.contains(": ") && line.matches(": ").count() > 1 {
        return Some("put a value that holds `: ` in quotes".to_owned());
    }
    None
}

/// The last `[`, `{` or quote in `text` that is not closed. A guess for a hint: it knows quotes only where a value
/// begins.
pub(super) fn unclosed(text: &str) -> Option<usize> {
    let mut open: Vec<usize> = Vec::new();
    let mut quote: Option<(u8, usize)> = None;
    let mut before = b' ';
    for (at, byte) in text.bytes().enumerate() {
        if let Some((mark, _)) = quote {
            if byte == mark && before != b'\\' {
                quote = None;
            }
        } else {
            match byte {
                b'"' | b'\'' if b" \n[{,".contains(&before) => quote = Some((byte, at)),
                b'[' | b'{' => open.push(at),
                b']' | b'}' => drop(open.pop()),
                _ => {}
            }
        }
        before = byte;
    }
    quote.map(|(_, at)| at).or_else(|| open.pop())
}
