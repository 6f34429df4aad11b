//! `reached`: what must have happened at least once, or the run proves nothing.

use squall_model::decode::{Decode, Schema};
use squall_model::diagnostic::Diagnostic;
use squall_model::expression::Expression;
use squall_model::node::Node;
use squall_model::span::Spanned;

use super::{Ground, Planned};
use crate::plan::{Check, expectations};

pub(super) fn schema() -> Schema {
    Expression::schema()
}

pub(super) fn plan(params: &Node, ground: &mut Ground<'_>) -> Option<Planned> {
    let expression: Spanned<Expression> = Spanned::decode(params, ground.diagnostics)?;
    let condition = expectations::condition(&expression, ground.names, ground.diagnostics)?;
    if condition.limit.is_none() {
        let message = format!(
            "`{}` is judged on its own: it is nothing to be reached",
            expression.path
        );
        let error = Diagnostic::error(expression.span, message);
        ground
            .diagnostics
            .push(error.help("compare a metric, such as `SERVICE.metrics.NAME >= 1`"));
        return None;
    }
    Some(Planned::as_its_kind(Check::Reached { condition }))
}
