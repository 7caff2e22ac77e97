//! The passes of an order, each as large as a phone's screen, and on a page of its own when printed.

use askama::Template;

use crate::fields::Id;
use crate::html::{Answered, page};
use crate::model::{Order, Pass};
use crate::pages::order::{Docket, passes};
use crate::shell::Shell;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "passes.html")]
struct PassesPage {
    shell: Shell,
    docket: Docket,
    passes: Vec<Pass>,
}

/// The passes.
pub(crate) async fn show(visit: Visit, id: Id) -> Answered {
    let (shell, _) = visit.own_shell().await?;
    let (id, order) = (id.to_string(), format!("/api/orders/{id}"));
    let (order, passes) = futures::join!(visit.get::<Order>(&order), passes(&visit, &id));
    page(&PassesPage { shell, docket: Docket::new(order?, visit.words()), passes: passes? })
}
