//! Whatever comes in, something sensible comes out.

use proptest::prelude::*;

use super::{FULL, environment};
use crate::scenario::{parse, parse_with};

/// Every place that is named lies in its text.
fn places_fit(text: &str) -> Result<(), TestCaseError> {
    let (scenario, diagnostics, sources) = parse("s.yaml", text, &environment);
    for one in &diagnostics {
        let spans = one
            .span
            .into_iter()
            .chain(one.related.iter().map(|related| related.span));
        for span in spans {
            prop_assert!(sources.text(span.source).get(span.range()).is_some(), "{one:?}");
        }
        prop_assert!(one.span.is_some(), "{one:?}");
    }
    prop_assert!(scenario.is_some() || !diagnostics.ok());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_damaged_scenario_never_panics(
        cuts in prop::collection::vec((0_usize..FULL.len(), 0_usize..30, "[a-z0-9:{}\\[\\]$ \n'\"é*&%<-]{0,6}"), 1..4)
    ) {
        let mut text = FULL.to_owned();
        for (at, length, insert) in cuts {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(end) {
                text.replace_range(at..end, &insert);
            }
        }
        places_fit(&text)?;
    }

    #[test]
    fn lines_in_any_order_never_panic(order in prop::collection::vec(0_usize..50, 1..40)) {
        let lines: Vec<&str> = FULL.lines().collect();
        let text: Vec<&str> = order.iter().map(|at| lines[at % lines.len()]).collect();
        places_fit(&text.join("\n"))?;
    }

    #[test]
    fn no_override_panics(text in "[a-z.0-9={}\\[\\] :-]{0,30}|(load|phases|seed)[a-z.0-9]{0,10}=[^=]{0,10}") {
        let (_, diagnostics, sources) = parse_with("s.yaml", FULL, &[text], &environment);
        for one in &diagnostics {
            let span = one.span.unwrap();
            prop_assert!(sources.text(span.source).get(span.range()).is_some(), "{one:?}");
        }
    }
}

#[test]
fn a_bomb_is_refused_whatever_it_names() {
    let many = (0..30_000).fold("squall: 1\nname: a\nphases:\n".to_owned(), |text, at| {
        text + &format!(" - {{phase: p{at}, for: 1s}}\n")
    });
    let references = (0..8_000).fold(super::around(""), |text, at| format!("{text}k{at}: 1\n"));
    for text in [many, references, "a".repeat(10 << 20)] {
        let (_, diagnostics, _) = parse("s.yaml", &text, &environment);
        assert!(!diagnostics.ok());
        assert!(diagnostics.iter().len() <= 500);
    }
}
