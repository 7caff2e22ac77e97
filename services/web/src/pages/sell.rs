//! Putting tickets on sale, and changing what was said about them.

use askama::Template;
use common::clock::Time;
use reqwest::Method;
use serde::Deserialize;

use super::offer::{Moments, Offer, OtherChange, at_fields};
use crate::failure::{ApiProblem, Failure};
use crate::fields::{Form, Id};
use crate::html::{Answered, form_page, go, page};
use crate::local_time::zones;
use crate::making::{NotMade, key_of, new_key};
use crate::model::{Account, Ticket};
use crate::send_again::or_send_again;
use crate::shell::Shell;
use crate::visit::{Visit, broken};

/// What is offered for choosing; any other currency can be typed.
const CURRENCIES: [&str; 14] =
    ["AUD", "BRL", "CAD", "CHF", "DKK", "EUR", "GBP", "INR", "JPY", "NOK", "NZD", "PLN", "SEK", "USD"];
const REFUNDS: [(&str, &str); 3] = [("until_start", "Until it begins"), ("always", "At any time"), ("never", "None")];

/// A form as it comes back.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Sent {
    #[serde(flatten)]
    offer: Offer,
    /// Makes the listing once, however often the form is sent.
    key: String,
    /// Which version of the listing the form showed.
    version: String,
    /// When it started then.
    was: String,
    /// When its sale ended then, if that was not simply its start.
    sale_was: String,
    /// What all the fields were then.
    seen: String,
}

/// What a form for changing remembers.
struct Change {
    id: String,
    version: String,
    was: String,
    sale_was: String,
    seen: String,
}

impl Change {
    fn of(ticket: &Ticket, offer: &Offer) -> Result<Self, Failure> {
        let text = |at: Option<Time>| at.map(|at| at.to_string()).unwrap_or_default();
        let Moments { starts_at, sale_ends_at } = Moments::of(ticket);
        Ok(Self {
            id: ticket.id.clone(),
            version: ticket.version.to_string(),
            was: text(starts_at),
            sale_was: text(sale_ends_at),
            seen: serde_json::to_string(offer).map_err(broken)?,
        })
    }
}

/// What became of the listing while the form was open.
struct Meanwhile {
    others: Vec<OtherChange>,
    on_sale: bool,
}

#[derive(Template)]
#[template(path = "sell.html")]
struct SellPage {
    shell: Shell,
    offer: Offer,
    problem: Option<ApiProblem>,
    key: String,
    change: Option<Change>,
    meanwhile: Option<Meanwhile>,
    zones: Vec<String>,
    /// Whether the time zone is a guess, which the browser may know better.
    guessed: bool,
    /// How a price may be typed.
    example: String,
}

impl SellPage {
    fn new(visit: &Visit, shell: Shell, offer: Offer, key: String) -> Self {
        let (problem, change, meanwhile) = (None, None, None);
        let example = visit.words().amount("19.99");
        Self { shell, offer, problem, key, change, meanwhile, zones: zones(), guessed: false, example }
    }

    fn action(&self) -> String {
        self.change.as_ref().map_or_else(|| "/sales/new".to_owned(), |change| format!("/sales/{}/edit", change.id))
    }

    /// Whether the listing's policy is none of those that can be chosen here. It is shown as chosen, so that a change of something
    /// else does not silently replace it.
    fn has_another_policy(&self) -> bool {
        let policy = self.offer.refund_policy.as_str();
        !policy.is_empty() && REFUNDS.iter().all(|(value, _)| *value != policy)
    }
}

/// What stands in the place of the form for somebody whose address is not confirmed.
#[derive(Template)]
#[template(path = "confirm_first.html")]
struct ConfirmFirstPage {
    shell: Shell,
    user: Account,
}

/// An empty form.
pub(crate) async fn new_form(visit: Visit) -> Answered {
    let (shell, user) = visit.own_shell().await?;
    if !user.email_verified {
        return page(&ConfirmFirstPage { shell, user });
    }
    let text = |text: &str| text.to_owned();
    let offer = Offer {
        currency: text("USD"),
        quantity: text("100"),
        refund_policy: text("until_start"),
        time_zone: visit.web().zone.clone(),
        ..Offer::default()
    };
    page(&SellPage { guessed: true, ..SellPage::new(&visit, shell, offer, new_key(&visit)) })
}

/// Puts tickets on sale, and leads to how they sell; or shows the form with what is wrong.
pub(crate) async fn create(visit: Visit, form: Form<Sent>) -> Answered {
    let Form(Sent { offer, key, .. }) = form;
    let offer = offer.tidied();
    let read = offer.read(Moments::default(), visit.words());
    let key = key_of(&visit, key);
    let NotMade { problem, key } = match visit.make::<Ticket>("/api/tickets", &key, &offer.wish(&read)).await {
        Ok(ticket) => return Ok(go(&format!("/sales/{}", ticket.id))),
        Err(failure) => visit.not_made(failure.at("/sales/new"), key)?,
    };
    let problem = at_fields(problem, &read);
    let page = not_created(&visit, offer.clone(), problem.clone(), key.clone()).await;
    or_send_again(page, &problem, "/sales/new", &offer, key)
}

async fn not_created(visit: &Visit, offer: Offer, problem: ApiProblem, key: String) -> Answered {
    let (shell, _) = visit.own_shell().await?;
    let page = SellPage { problem: Some(problem), ..SellPage::new(visit, shell, offer, key) };
    form_page(page.problem.as_ref(), &page)
}

/// The listing, if it is the visitor's own.
async fn own_ticket(visit: &Visit, id: &Id) -> Result<(Shell, Ticket), Failure> {
    let path = format!("/api/tickets/{id}");
    let (own, ticket) = futures::join!(visit.own_shell(), visit.get::<Ticket>(&path));
    let ((shell, user), ticket) = (own?, ticket?);
    if ticket.user_id == user.id { Ok((shell, ticket)) } else { Err(Failure::NotFound) }
}

/// The form with what the listing says.
pub(crate) async fn edit_form(visit: Visit, id: Id) -> Answered {
    let (shell, ticket) = own_ticket(&visit, &id).await?;
    let offer = Offer::of(&ticket, visit.words());
    let change = Change::of(&ticket, &offer)?;
    page(&SellPage { change: Some(change), ..SellPage::new(&visit, shell, offer, String::new()) })
}

/// Changes the listing, if it still is what the form showed.
pub(crate) async fn edit(visit: Visit, id: Id, form: Form<Sent>) -> Answered {
    let Form(Sent { offer, version, was, sale_was, seen, .. }) = form;
    let (offer, here) = (offer.tidied(), format!("/sales/{id}/edit"));
    let moments = Moments { starts_at: was.parse().ok(), sale_ends_at: sale_was.parse().ok() };
    let read = offer.read(moments, visit.words());
    let tag = format!("\"{version}\"");
    let (path, wish) = (format!("/api/tickets/{id}"), offer.wish(&read));
    let problem = match visit.call(Method::PUT, &path, &[("if-match", &tag)], Some(&wish)).await {
        Ok(_) => return Ok(go(&format!("/sales/{id}"))),
        Err(failure) => failure.at(&here).problem()?,
    };
    let (shell, ticket) = own_ticket(&visit, &id).await?;
    if problem.code == "version_mismatch" {
        return form_page(Some(&problem), &overtaken(&visit, shell, offer, &seen, &ticket)?);
    }
    let problem = at_fields(problem, &read);
    let change = Change { id: ticket.id, version, was, sale_was, seen };
    let page = SellPage::new(&visit, shell, offer, String::new());
    let page = SellPage { problem: Some(problem), change: Some(change), ..page };
    form_page(page.problem.as_ref(), &page)
}

/// The form with the person's changes on top of those that came first, for another look.
fn overtaken(visit: &Visit, shell: Shell, offer: Offer, seen: &str, ticket: &Ticket) -> Result<SellPage, Failure> {
    let now = Offer::of(ticket, visit.words());
    let change = Change::of(ticket, &now)?;
    // Of a form that does not say what it showed, all is taken for typed.
    let seen = serde_json::from_str(seen).unwrap_or_default();
    let (offer, others) = offer.onto(seen, now);
    let meanwhile = Some(Meanwhile { others, on_sale: ticket.on_sale || ticket.sale_ended });
    Ok(SellPage { change: Some(change), meanwhile, ..SellPage::new(visit, shell, offer, String::new()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_with_what_it_remembers() {
        let body =
            "title=Jazz&timeZone=Europe%2FRome&perOrderLimit=&version=3&seen=%7B%22title%22%3A%22Jaz%22%7D&more=1";
        let sent: Sent = serde_urlencoded::from_str(body).unwrap();
        assert_eq!((sent.offer.title.as_str(), sent.offer.time_zone.as_str()), ("Jazz", "Europe/Rome"));
        assert_eq!((sent.version.as_str(), sent.key.as_str(), sent.offer.per_order_limit.as_str()), ("3", "", ""));
        let seen: Offer = serde_json::from_str(&sent.seen).unwrap();
        assert_eq!(seen, Offer { title: "Jaz".to_owned(), ..Offer::default() });
    }
}
