//! Think time of users, from its written form.

use squall_load::Think;
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::scenario::Pause;

/// How long users pause. A range that is none is an error, and no pause.
pub(super) fn think(written: &Pause, diagnostics: &mut Diagnostics) -> Think {
    let drawn = match written {
        Pause::Fixed(length) => return Think::Fixed(length.value),
        Pause::Drawn(drawn) => drawn,
    };
    match (drawn.from, drawn.to, drawn.exponential) {
        (Some(from), Some(to), _) if from.value <= to.value => Think::Uniform {
            from: from.value,
            to: to.value,
        },
        (Some(_), Some(to), _) => {
            let message = "the longest pause is below the shortest";
            diagnostics.push(Diagnostic::error(to.span, message));
            Think::NONE
        }
        (.., Some(mean)) => Think::Exponential { mean: mean.value },
        // The decoder has refused it.
        _ => Think::NONE,
    }
}
