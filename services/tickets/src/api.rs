//! HTTP in.

use actix_web::{HttpRequest, web};
use common::clock::Time;
use common::http::cached::Represented;
use common::http::schema::blank_or;
use common::http::{Body, Created, Creation, Fields, IfMatch, Page, Paging, PathOf, Principal, Problem, Query, Tagged};
use common::id::{TicketId, UserId};
use common::store::{ChangeError, StoreError, Versioned};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::Tickets;
use crate::catalogue::{Position, Search, Wanted};
use crate::input::{TicketInput, Unsaid};
use crate::problems::of_change;
use crate::ticket::Ticket;
use crate::view::TicketBody;

/// Puts tickets on sale. Who does that has confirmed their address.
#[utoipa::path(post, path = "/api/tickets", request_body = TicketInput,
    responses((status = 201, description = "On sale", body = TicketBody),
        (status = 403, description = "The mail to one's address says how to confirm it")))]
pub(crate) async fn create(
    tickets: web::Data<Tickets>,
    principal: Principal,
    creation: Creation,
    Body(input): Body<TicketInput>,
) -> Result<Created<TicketBody>, Problem> {
    let now = tickets.clock.now();
    // What an earlier attempt has made may be over by now.
    let listed_at = (!creation.is_repeated()).then_some(now);
    let listing = Ticket::list(creation.id(), principal.user, input.offer(Unsaid::NEW, listed_at)?, now);
    let made = match tickets.tickets.insert(listing).await {
        Err(StoreError::Exists) if creation.is_repeated() => tickets.made_before(creation.id(), principal.user).await?,
        made => made?,
    };
    let made = tickets.suspended_if_closed(made).await?;
    tickets.pages.written(&made);
    let location = format!("/api/tickets/{}", made.value.id);
    Ok(Created { location, version: made.version, body: TicketBody::of(made, &tickets.zone, now) })
}

/// Which listings are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Words, each of which begins one of the title, venue or description, whatever case and accents it is written with.
    #[param(max_length = 200)]
    search: Option<String>,
    /// Starting then or later (RFC 3339).
    #[param(schema_with = blank_or::<Time>)]
    from: Option<String>,
    /// Starting then or sooner (RFC 3339).
    #[param(schema_with = blank_or::<Time>)]
    to: Option<String>,
    /// By this seller, with what was withdrawn from sale.
    #[param(schema_with = blank_or::<UserId>)]
    seller_id: Option<String>,
}

impl Filter {
    /// An empty parameter says nothing: forms send empty fields.
    fn wanted(self) -> Result<Wanted, Problem> {
        let said = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let mut fields = Fields::default();
        let search = fields.take("search", Search::parse(self.search.as_deref().unwrap_or_default()));
        let from = fields.take_optional("from", said(self.from), |text| text.parse());
        let to = fields.take_optional("to", said(self.to), |text| text.parse());
        let seller = fields.take_optional("sellerId", said(self.seller_id), |text| text.parse());
        let (search, from, to, seller) = fields.finish((search, from, to, seller))?;
        Ok(Wanted { search, from, to, seller })
    }
}

/// Lists what is on sale: what can be bought and comes soonest first, then what is sold out, then that whose sale has ended.
#[utoipa::path(get, path = "/api/tickets", params(Filter, Paging),
    responses((status = 200, description = "A page of tickets", body = Page<TicketBody>)))]
pub(crate) async fn list(
    tickets: web::Data<Tickets>,
    request: HttpRequest,
    Query(filter): Query<Filter>,
    paging: Paging,
) -> Result<Represented, Problem> {
    let after: Option<Position> = paging.after()?;
    let page = tickets.pages.list(filter.wanted()?, after, paging).await?;
    Ok(page.value.answer.answer(&request))
}

/// Shows one, also after it was withdrawn.
///
/// What stands before the dot in `ETag` is the version that `If-Match` names for a change; the rest tells the counts apart.
#[utoipa::path(get, path = "/api/tickets/{id}", params(("id" = TicketId, Path, description = "The ticket")),
    responses((status = 200, description = "The ticket", body = TicketBody),
        (status = 404, description = "None with this id")))]
pub(crate) async fn show(
    tickets: web::Data<Tickets>,
    request: HttpRequest,
    PathOf(id): PathOf<TicketId>,
) -> Result<Represented, Problem> {
    let page = tickets.pages.listing(id).await?;
    Ok(page.value.page.answer.answer(&request))
}

/// Replaces what the seller says about a ticket. Orders that exist keep their price.
#[utoipa::path(put, path = "/api/tickets/{id}", request_body = TicketInput,
    params(("id" = TicketId, Path, description = "The ticket")),
    responses((status = 200, description = "The ticket as it is now", body = TicketBody),
        (status = 403, description = "`not_owner`"),
        (status = 409, description = "`quantity_below_taken`, `price_locked`, `currency_locked`, `withdrawn`, `suspended`")))]
pub(crate) async fn edit(
    tickets: web::Data<Tickets>,
    principal: Principal,
    PathOf(id): PathOf<TicketId>,
    if_match: IfMatch,
    Body(input): Body<TicketInput>,
) -> Result<Tagged<TicketBody>, Problem> {
    let now = tickets.clock.now();
    let changed = tickets.tickets.change(id, principal.user, |current| {
        current.value.check_owner(principal.user)?;
        if_match.check(current.version)?;
        let offer = input.offer(Unsaid::of(&current.value.offer), None)?;
        Ok::<_, Problem>(current.value.edit(offer, now)?)
    });
    tickets.shown(changed.await)
}

/// Takes a ticket from sale. Orders that exist stay as they are.
#[utoipa::path(delete, path = "/api/tickets/{id}", params(("id" = TicketId, Path, description = "The ticket")),
    responses((status = 200, description = "The ticket, withdrawn now or before", body = TicketBody),
        (status = 403, description = "`not_owner`")))]
pub(crate) async fn withdraw(
    tickets: web::Data<Tickets>,
    principal: Principal,
    PathOf(id): PathOf<TicketId>,
    if_match: IfMatch,
) -> Result<Tagged<TicketBody>, Problem> {
    let changed = tickets.tickets.change(id, principal.user, |current| {
        if !principal.is_admin() {
            current.value.check_owner(principal.user)?;
        }
        let Some(changed) = current.value.withdraw() else { return Ok(None) };
        if_match.check(current.version)?;
        Ok::<_, Problem>(Some(changed))
    });
    tickets.shown(changed.await)
}

impl Tickets {
    /// The listing that an earlier attempt of the seller's request has made.
    async fn made_before(&self, id: TicketId, seller: UserId) -> Result<Versioned<Ticket>, Problem> {
        let made = self.tickets.get(id).await?.filter(|made| made.value.seller_id == seller);
        made.ok_or_else(|| Problem::internal("a listing with the id of this request belongs to somebody else"))
    }

    /// The answer to a change, which everybody gets to see.
    fn shown(&self, changed: Result<Versioned<Ticket>, ChangeError<Problem>>) -> Result<Tagged<TicketBody>, Problem> {
        let ticket = changed.map_err(of_change)?;
        self.pages.written(&ticket);
        Ok(Tagged { version: ticket.version, body: TicketBody::of(ticket, &self.zone, self.clock.now()) })
    }
}
