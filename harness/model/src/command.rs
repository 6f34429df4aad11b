//! What the command line in a run record says of the run beyond the scenario's text.
//!
//! The line is written by the commands that run scenarios, `squall run` and `squall capacity`; this module reads it back, and must stay
//! beside what they write: `--set` comes last but for `--allow-host`.

/// What was given with `--set`, as it stands in the command line; empty where nothing was.
pub fn overrides(command: &str) -> &str {
    let Some(at) = command.find(" --set ") else {
        return "";
    };
    let rest = command[at..].trim_start();
    rest.split_once(" --allow-host ").map_or(rest, |(sets, _)| sets)
}

/// Whether the run was a step of a search for capacity: then its load had a rate of the search's choosing, and no two of them are alike.
pub fn is_probe(command: &str) -> bool {
    command.starts_with("squall capacity ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_are_all_that_was_set_and_nothing_else() {
        let of = |rest: &str| overrides(rest).to_owned();
        assert_eq!(of("squall run a.yaml --seed 7"), "");
        assert_eq!(of("squall run a.yaml --seed 7 --allow-host db"), "");
        assert_eq!(
            of("squall run a.yaml --seed 7 --quick --set a=1 --set 'b=x y'"),
            "--set a=1 --set 'b=x y'"
        );
        assert_eq!(
            of("squall run a.yaml --seed 7 --set a=1 --allow-host db"),
            "--set a=1"
        );
    }

    #[test]
    fn a_step_of_a_search_is_told_from_a_run() {
        assert!(is_probe("squall capacity shop.yaml --load read"));
        assert!(!is_probe("squall run capacity.yaml --seed 7"));
    }
}
