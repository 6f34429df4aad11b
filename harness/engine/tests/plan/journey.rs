//! Journeys: what becomes of routes and steps, and what is refused before anything starts.

use expect_test::{Expect, expect};

use crate::rig::around;
use crate::rig::check;

fn with(rest: &str, journey: &str) -> String {
    around(&format!(
        "load:\n  shoppers:\n    to: ids\n    {rest}\n    journey:\n{journey}"
    ))
}

mod built_in {
    use std::time::Duration;

    use squall_engine::plan::{Metric, Plan};
    use squall_load::Think;
    use squall_load::journey::{Journey, Part, Step};
    use squall_load::{Arrivals, Extraction};

    use super::*;

    const SHOP: &str = r#"
      - name: buy
        weight: 3
        think: { from: 1s, to: 3s }
        steps:
          - { step: login, http: { post: /login, json: { user: "{user}" } }, take: { token: { json: /token } } }
          - step: basket
            http: { get: "/basket?t={token}", headers: { authorization: "Bearer {token}" } }
            check: { status: 200 }
      - { name: browse, steps: [ { step: list, http: { get: /items } } ] }
"#;

    fn plan(rest: &str, after: &str) -> Plan {
        let text = format!("{}{after}", with(rest, SHOP));
        crate::rig::plan(&text)
    }

    fn journey(plan: &Plan) -> &Journey {
        match plan.loads[0].asked.protocol.part() {
            Part::Journey(journey) => journey,
            part => panic!("{part:?}"),
        }
    }

    #[test]
    fn a_journey_is_a_load_and_so_is_each_step() {
        let plan = plan(
            "users: 8\n    think: 2s\n    data: { user: { uniform: [1, 9] } }",
            "",
        );
        let names: Vec<&str> = plan.loads.iter().map(|load| load.name.as_str()).collect();
        assert_eq!(
            names,
            ["shoppers", "shoppers.login", "shoppers.basket", "shoppers.list"]
        );
        let made = journey(&plan);
        assert_eq!((made.first, made.steps.len()), (1, 3));
        let shares: Vec<_> = made
            .routes
            .iter()
            .map(|route| (route.weight, route.steps.clone()))
            .collect();
        assert_eq!(shares, [(3, vec![0, 1]), (1, vec![2])]);
        let think = Think::Uniform {
            from: Duration::from_secs(1),
            to: Duration::from_secs(3),
        };
        assert_eq!((made.routes[0].think, made.routes[1].think), (Some(think), None));
        for (load, step) in plan.loads[1..].iter().zip(&made.steps) {
            assert!(
                load.is_step()
                    && matches!(load.asked.protocol.part(), Part::Step(Step { name, .. }) if *name == step.name)
            );
        }
        assert_eq!(made.steps[1].request.path.to_string(), "/basket?t={token}");
        assert_eq!(made.steps[0].takes[0].0, 0);
        let arrivals = &plan.phases[0].arrivals;
        let closed = Arrivals::Closed {
            users: 8,
            think: Duration::from_secs(2).into(),
        };
        assert_eq!(*arrivals, vec![closed; 4]);
    }

    #[test]
    fn expectations_and_invariants_name_steps() {
        let after = "expect:\n  run: [ \"shoppers.login.p99 < 20ms\", \"shoppers.errors == 0%\" ]\n\
                     invariants:\n  logins: { unique: { values: shoppers.login response /id } }\n";
        let data = "users: 8\n    data: { user: { uniform: [1, 9] } }";
        let plan = plan(data, after);
        let of: Vec<usize> = plan
            .expectations
            .iter()
            .map(|one| match &one.condition.metric {
                Metric::Load { load, .. } => *load,
                metric => panic!("{metric:?}"),
            })
            .collect();
        assert_eq!(of, [1, 0]);
        assert!(matches!(plan.loads[1].extract[..], [Extraction::One(_)]));
        assert!(plan.loads[0].extract.is_empty());
    }
}

fn check_journey(rest: &str, journey: &str, expected: &Expect) {
    check(&with(rest, journey), expected);
}

#[test]
fn what_a_journey_cannot_be_is_said_at_its_place() {
    check_journey(
        "users: 5\n    data: { user: { uniform: [1, 9] } }",
        r#"
      - { name: a, weight: 20000, steps: [ { step: x, http: { get: "/{user}/{token}" }, take: { user: { json: /u }, t: { json: nope } } } ] }
      - { name: a, think: { from: 2s, to: 1s }, steps: [ { step: x, http: { get: "/{t}" } }, { step: p99, http: { get: / } } ] }
"#,
        &expect![[r#"
            s.yaml:12:28: error: a weight is at most 10000
            s.yaml:12:77: error: the load has no data called `token`
              help: the only one is `user`
            s.yaml:12:97: error: `user` is one of the load's data already
              help: take it under another name
            s.yaml:12:128: error: reading the JSON pointer "nope": it must be empty or begin with /
            s.yaml:13:17: error: two routes are called `a`
              s.yaml:12:17: first here
            s.yaml:13:43: error: the longest pause is below the shortest
            s.yaml:13:66: error: two steps are called `x`
              s.yaml:12:52: first here
            s.yaml:13:84: error: the load has no data called `t`
              help: the only one is `user`
            s.yaml:13:102: error: `p99` is what is measured of a load, and no name for a step"#]],
    );
}

#[test]
fn journeys_are_made_by_users() {
    check_journey(
        "rate: 100/s",
        "      - { name: a, steps: [ { step: x, http: { get: / } } ] }\n",
        &expect![[r#"
            s.yaml:9:5: error: journeys are made by users, and this load has none
              help: give it `users`, such as `users: 50`, in place of `rate` and `arrivals`"#]],
    );
}

#[test]
fn values_come_from_steps_and_not_from_the_whole() {
    let one = "      - { name: a, steps: [ { step: x, http: { get: / } } ] }\n";
    let after = "invariants:\n  logins: { unique: { values: shoppers response /id } }\n";
    check(
        &format!("{}{after}", with("users: 5", one)),
        &expect![[r#"
        s.yaml:12:31: error: `shoppers` is a journey, whose steps have the answers
          help: name one of them, such as `shoppers.x`"#]],
    );
}
